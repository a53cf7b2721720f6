"""What the overview's charts are drawn of: lines as paths, and the marks beside them. Pure.

A chart is a plain SVG of 1,000 by 200 that is stretched to its place. What is written at its edges
is HTML, so that it stays readable at any width.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pushes.read.lately.series import Series, SeriesStep
from pushes.store.counted.series import Range

WIDTH, HEIGHT = 1000, 200

# Times from a push to its acknowledgement reach from a moment to Klarna's 48 hours.
_TIMES_S = (0.1, 1, 10, 60, 600, 3600, 36_000, 172_800)
_TIMES = ("0.1 s", "1 s", "10 s", "1 min", "10 min", "1 h", "10 h", "2 d")

_ACROSS = {
    Range.HOUR: ("60 min ago", "45", "30", "15", "now"),
    Range.DAY: ("24 h ago", "18", "12", "6", "now"),
    Range.WEEK: ("7 d ago", "6", "5", "4", "3", "2", "1", "now"),
}

# A value at a step, None where there is none.
_Values = Sequence[tuple[datetime, float | None]]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: what it shows, the class that gives its colour, and its path.

    `dots` are its values between two gaps, which no line leads to.
    """

    name: str
    look: str
    path: str
    dots: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over a range of time, the marks beside it from top to bottom, and below it."""

    name: str
    title: str
    summary: str
    lines: tuple[Line, ...]
    up: tuple[str, ...]
    across: tuple[str, ...]


def throughput(series: Series) -> Chart:
    """Draw the pushes and the acknowledgements of each minute."""
    steps = series.steps
    pushes = _values(steps, lambda step: step.pushes / step.minutes)
    done = _values(steps, lambda step: step.acknowledged / step.minutes)
    highest = _round_up(max((value or 0 for _, value in [*pushes, *done]), default=0))

    def height(value: float) -> float:
        return value / highest

    return Chart(
        "throughput",
        "Pushes and acknowledgements a minute",
        f"{sum(step.pushes for step in steps):,} pushes and"
        f" {sum(step.acknowledged for step in steps):,} acknowledgements"
        f" in the last {series.range}.",
        (
            _line("pushes", "blue", pushes, series, height),
            _line("acknowledged", "good", done, series, height),
        ),
        (f"{highest:,.0f}", f"{highest / 2:,.0f}", "0"),
        _ACROSS[series.range],
    )


def times(series: Series) -> Chart:
    """Draw how long orders took to be acknowledged, and how long the oldest one waited."""
    p50 = _values(series.steps, lambda step: step.took.p50_s)
    p95 = _values(series.steps, lambda step: step.took.p95_s)
    oldest = _values(series.steps, lambda step: step.oldest_waiting_s)
    marks = _marks(value for _, value in [*p50, *p95, *oldest] if value is not None)

    def height(value: float) -> float:
        return _height_of_time(value, marks)

    return Chart(
        "times",
        "From push to acknowledgement",
        "Half of the orders, 95 % of them, and how long the oldest waiting order had waited;"
        " the scale is logarithmic.",
        (
            _line("50 %", "good", p50, series, height),
            _line("95 %", "purple", p95, series, height),
            _line("oldest waiting", "bad dashed", oldest, series, height),
        ),
        tuple(reversed([_TIMES[mark] for mark in marks])),
        _ACROSS[series.range],
    )


def _values(steps: Iterable[SeriesStep], value: Callable[[SeriesStep], float | None]) -> _Values:
    return [(step.until, value(step)) for step in steps]


def _line(
    name: str, look: str, values: _Values, series: Series, height: Callable[[float], float]
) -> Line:
    """Write the path of a line; it is broken where there is no value."""
    path, dots, run = list[str](), list[str](), list[str]()
    for at, value in [*values, (series.until, None)]:
        if value is not None:
            across = (at - series.since) / series.range.length
            x = WIDTH * min(1.0, max(0.0, across))
            y = HEIGHT * (1 - min(1.0, max(0.0, height(value))))
            run.append(f"{x:.1f} {y:.1f}")
            continue
        if len(run) == 1:
            dots.append(f"M{run[0]}h0")  # no length, but round ends
        elif run:
            path.append(f"M{'L'.join(run)}")
        run = []
    return Line(name, look, "".join(path), "".join(dots))


def _round_up(value: float) -> float:
    """Return the next number above that is easily halved: 2, 4 or 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(value, 1)))
    return next(power * times for times in (2, 4, 10, 20) if power * times >= value)


def _marks(seconds: Iterable[float]) -> range:
    """Choose the marks between which all these times are."""
    found = list(seconds)
    lowest, highest = min(found, default=0.1), max(found, default=1)
    last = len(_TIMES_S) - 1
    first = max((mark for mark in range(last) if _TIMES_S[mark] <= lowest), default=0)
    end = next((mark for mark in range(first + 1, last) if _TIMES_S[mark] >= highest), last)
    return range(first, end + 1)


def _height_of_time(seconds: float, marks: range) -> float:
    """Say how high a time is, from 0 to 1: marks are evenly apart, what is between is by logs."""
    below = max((mark for mark in marks if _TIMES_S[mark] <= seconds), default=marks[0])
    below = min(below, marks[-2])
    low, high = _TIMES_S[below], _TIMES_S[below + 1]
    part = math.log(max(seconds, low) / low) / math.log(high / low)
    return (below - marks[0] + part) / (len(marks) - 1)
