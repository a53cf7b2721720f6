import json
from collections import Counter
from datetime import timedelta

import pytest

from pushes.read.lately import series as reading
from pushes.read.lately.series import CallsMade, Percentiles, Series, SeriesStep
from pushes.store.counted import series
from pushes.store.counted.series import Range, TotalsSample
from pushes.store.counted.totals import ACKNOWLEDGED_AFTER, Distribution
from tests.builders import NOW

MINUTE = timedelta(minutes=1)


def sample(minute: int, counts: dict[str, int], waits_since: int | None = None) -> TotalsSample:
    oldest_since = None if waits_since is None else NOW + waits_since * MINUTE
    calls = {name: count for name, count in counts.items() if name.startswith("call:")}
    others = {name: count for name, count in counts.items() if name not in calls}
    return TotalsSample(NOW + minute * MINUTE, others, json.dumps(calls), oldest_since)


@pytest.mark.parametrize(
    ("counts", "percent", "seconds"),
    [
        ({}, 50, None),
        ({"0.5": 10}, 50, 0.25),
        ({"0.5": 10}, 100, 0.5),
        ({"0.5": 50, "2": 50}, 50, 0.5),
        ({"0.5": 50, "2": 50}, 75, 1.5),
        ({"inf": 1}, 50, 172800.0),
        ({"0.5": 1, "inf": 9}, 95, 172800.0),
    ],
)
def test_it_estimates_percentiles_from_buckets(
    counts: dict[str, int], percent: float, seconds: float | None
) -> None:
    found = Distribution(Counter(counts)).percentile(ACKNOWLEDGED_AFTER, percent)

    assert found == (None if seconds is None else pytest.approx(seconds))


def test_it_says_what_was_counted_between_two_samples() -> None:
    before = {"accepted:new": 5, "dead:rejected": 1}

    assert series.difference(before, {**before, "accepted:new": 7, "attempts:dead": 1}) == {
        "accepted:new": 2,
        "attempts:dead": 1,
    }


def test_it_counts_from_0_on_where_redis_has_lost_its_memory() -> None:
    assert series.difference({"accepted:new": 500}, {"accepted:new": 3}) == {"accepted:new": 3}


def test_it_gives_each_step_one_place() -> None:
    at = NOW.replace(minute=17, second=44)
    start = NOW.timestamp()

    assert [one.place(at) for one in Range] == [
        f"{round((start + 17 * 60) * 1000)}-0",
        f"{round((start + 10 * 60) * 1000)}-0",
        f"{round(start * 1000)}-0",
    ]


def test_it_makes_a_step_of_two_samples_and_sums_up() -> None:
    samples = [
        sample(0, {"accepted:new": 1}),
        sample(1, {"accepted:new": 3, "accepted:waiting": 2}, 0),
        sample(
            2,
            {
                "accepted:new": 3,
                "accepted:waiting": 2,
                "attempts:acknowledged": 2,
                "attempts:retrying": 1,
                "dead:rejected": 1,
                "acknowledged_after:1": 2,
                "acknowledged_after:sum": 1500,
                "call:get:2xx:0.1": 2,
                "call:get:none:15": 2,
            },
        ),
    ]

    found = reading.over(samples, Range.HOUR, NOW + 2 * MINUTE)

    took = Percentiles(0.75, 0.975, 0.995)
    assert found == Series(
        Range.HOUR,
        NOW + 2 * MINUTE,
        [
            SeriesStep(NOW, NOW + MINUTE, 4, 0, 0, Percentiles(), 60.0),
            SeriesStep(NOW + MINUTE, NOW + 2 * MINUTE, 0, 2, 1, took, None),
        ],
        took,
        [
            CallsMade(
                "get",
                {"2xx": 2, "none": 2},
                Percentiles(0.1, 14.5, 14.9),
            )
        ],
    )
    assert found.calls[0].error_share == 0.5


def test_it_has_no_steps_without_two_moments() -> None:
    assert reading.over([sample(0, {})], Range.DAY, NOW) == Series(Range.DAY, NOW)
