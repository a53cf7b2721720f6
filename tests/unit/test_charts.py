from datetime import timedelta

import pytest

from pushes.read.lately.series import Percentiles, Series, SeriesStep
from pushes.store.counted.series import Range
from service.ops.overview import charts
from tests.builders import NOW

MINUTE = timedelta(minutes=1)


def a_series(*steps: tuple[int, float | None]) -> Series:
    """An hour with steps of a minute at its end: acknowledgements, and how soon half of them."""
    ends = [NOW - count * MINUTE for count in reversed(range(len(steps)))]
    made = [
        SeriesStep(end - MINUTE, end, done, done, 0, Percentiles(p50), None)
        for end, (done, p50) in zip(ends, steps, strict=True)
    ]
    return Series(Range.HOUR, NOW, made)


def test_it_draws_a_line_through_the_steps() -> None:
    drawn = charts.throughput(a_series((0, None), (3, None), (4, None)))

    assert drawn.lines[1].path == "M966.7 200.0L983.3 50.0L1000.0 0.0"
    assert drawn.up == ("4", "2", "0")
    assert drawn.summary == "7 pushes and 7 acknowledgements in the last hour."


def test_it_breaks_a_line_where_there_is_no_value() -> None:
    drawn = charts.times(a_series((1, 1.0), (0, None), (1, 10.0)))

    assert (drawn.lines[0].path, drawn.lines[0].dots) == ("", "M966.7 200.0h0M1000.0 0.0h0")
    assert drawn.up == ("10 s", "1 s")
    assert drawn.lines[2].path == ""


@pytest.mark.parametrize(
    ("seconds", "marks"),
    [
        ((), ("1 s", "0.1 s")),
        ((0.02,), ("1 s", "0.1 s")),
        ((0.5, 45.0), ("1 min", "10 s", "1 s", "0.1 s")),
        ((90_000.0,), ("2 d", "10 h")),
        ((500_000.0,), ("2 d", "10 h")),
    ],
)
def test_its_scale_holds_every_time(seconds: tuple[float, ...], marks: tuple[str, ...]) -> None:
    drawn = charts.times(a_series(*((1, time) for time in seconds)))

    assert drawn.up == marks


@pytest.mark.parametrize(
    ("most", "highest"), [(0, "2"), (1, "2"), (3, "4"), (7, "10"), (11, "20"), (450, "1,000")]
)
def test_its_scale_ends_with_a_round_number(most: int, highest: str) -> None:
    assert charts.throughput(a_series((most, None))).up[0] == highest
