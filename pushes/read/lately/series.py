"""How the last hour, day and week were: what came, what was acknowledged and how soon, and calls.

Read from the samples that workers take each minute, and the totals of this moment as the last one.
Percentiles are estimates from the buckets of the metrics.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from redis import Redis
from typing_extensions import TypedDict

from pushes.model import State
from pushes.read import overview
from pushes.read.unreadable import Unreadable
from pushes.read.views import instant
from pushes.store import keys
from pushes.store.counted import series, totals
from pushes.store.counted.series import Range, TotalsSample
from pushes.store.counted.totals import ACKNOWLEDGED_AFTER, CALLS, Distribution, Total, Totals

# What a call was answered when all went well.
_GOOD = "2xx"


@dataclass(frozen=True, slots=True)
class Percentiles:
    """How long most took, in seconds; None when there were none."""

    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None


@dataclass(frozen=True, slots=True)
class SeriesStep:
    """What happened from one moment to another; and how long the oldest order had waited then."""

    since: datetime
    until: datetime
    pushes: int
    acknowledged: int
    dead: int
    took: Percentiles
    oldest_waiting_s: float | None

    @property
    def minutes(self) -> float:
        """How long it was."""
        return (self.until - self.since) / timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class CallsMade:
    """The calls of one kind, by the class of the answer; `none`: there was none."""

    call: str
    answers: dict[str, int]
    took: Percentiles

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.answers.values())

    @property
    def error_share(self) -> float:
        """The share that was not answered 2xx, from 0 to 1."""
        return 1 - self.answers.get(_GOOD, 0) / self.count


@dataclass(frozen=True, slots=True)
class Series:
    """A range of time in steps, oldest first, and what it comes to in all.

    Without samples it has no steps. A step is longer where samples are missing.
    """

    range: Range
    until: datetime
    steps: Sequence[SeriesStep] = ()
    took: Percentiles = field(default_factory=Percentiles)
    calls: Sequence[CallsMade] = ()

    @property
    def since(self) -> datetime:
        """When the range begins; samples may begin later."""
        return self.until - self.range.length


def read(redis: Redis, wanted: Range, now: datetime, unreadable: Unreadable) -> Series:
    """Read a range of time that ends at `now`, by Redis's clock. Raises RedisError."""
    samples = unreadable.ask(
        keys.series(wanted), lambda: series.read(redis, wanted, now), list[TotalsSample]()
    )
    oldest_since = overview.first_pushed(overview.oldest_deadline(redis, unreadable))
    present = unreadable.ask(keys.TOTALS, lambda: series.present(redis, now, oldest_since), None)
    if present is not None:
        samples = [*_settled(samples, present, wanted), present]
    return unreadable.ask(
        keys.series(wanted), lambda: over(samples, wanted, now), Series(wanted, now)
    )


def over(samples: Sequence[TotalsSample], wanted: Range, now: datetime) -> Series:
    """Make the steps between samples, and what they come to. Pure.

    Raises ValueError for samples that hold no totals of calls.
    """
    pairs = list(itertools.pairwise(samples))
    if not pairs:
        return Series(wanted, now)
    first, last = samples[0], samples[-1]
    counted = totals.parse(series.difference(first.totals, last.totals))
    calls = totals.parse(series.difference(first.calls, last.calls))
    return Series(
        wanted,
        now,
        [_step(before, after) for before, after in pairs],
        _percentiles(counted.acknowledged_after, ACKNOWLEDGED_AFTER),
        _calls(calls),
    )


def _settled(
    samples: Sequence[TotalsSample], present: TotalsSample, wanted: Range
) -> Sequence[TotalsSample]:
    """Keep the samples of the range with the last one before it, but for one that is too near.

    What happened in a few seconds says nothing of a minute.
    """
    before = [sample for sample in samples if sample.at < present.at]
    earlier = sum(sample.at <= present.at - wanted.length for sample in before)
    before = before[max(0, earlier - 1) :]
    is_near = bool(before) and present.at - before[-1].at < wanted.step / 2
    return before[:-1] if is_near and len(before) > 1 else before


def _step(before: TotalsSample, after: TotalsSample) -> SeriesStep:
    counted = totals.parse(series.difference(before.totals, after.totals))
    waited = after.at - after.oldest_since if after.oldest_since else None
    return SeriesStep(
        since=before.at,
        until=after.at,
        pushes=sum(counted.counts[Total.ACCEPTED].values()),
        acknowledged=counted.counts[Total.ATTEMPTS].get(State.ACKNOWLEDGED, 0),
        dead=sum(counted.counts[Total.DEAD].values()),
        took=_percentiles(counted.acknowledged_after, ACKNOWLEDGED_AFTER),
        oldest_waiting_s=None if waited is None else max(0.0, waited.total_seconds()),
    )


def _calls(counted: Totals) -> list[CallsMade]:
    """Sum up the calls of each kind, those made most often first."""
    found: dict[str, CallsMade] = {}
    for call in dict.fromkeys(call for call, _ in counted.calls):
        every, answers = Distribution(), dict[str, int]()
        for (name, answer), times in counted.calls.items():
            if name == call and (count := times.counts.total()):
                answers[answer] = count
                every.counts.update(times.counts)
        if answers:
            found[call] = CallsMade(call, answers, _percentiles(every, CALLS))
    return sorted(found.values(), key=lambda made: (-made.count, made.call))


def _percentiles(times: Distribution, buckets: totals.Buckets) -> Percentiles:
    return Percentiles(*(times.percentile(buckets, percent) for percent in (50, 95, 99)))


class PercentilesView(TypedDict):
    """How long most took, in seconds; null when there were none."""

    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


class StepView(PercentilesView):
    """What happened from `since` to `until`.

    The percentiles are of the orders acknowledged then, from their first push. `oldest_waiting_s`
    is how long the oldest order had waited at the end; null when none did.
    """

    since: str
    until: str
    pushes: int
    acknowledged: int
    dead: int
    oldest_waiting_s: float | None


class CallsView(PercentilesView):
    """The calls of one kind, by the class of the answer; `none`: there was none."""

    call: str
    calls: int
    answers: dict[str, int]
    error_share: float


class SeriesView(PercentilesView):
    """A range of time in steps, oldest first; the percentiles and calls are of all of it.

    Percentiles are estimates from the buckets of the metrics. A step is longer than `step_s` where
    samples are missing.
    """

    range: str
    since: str
    until: str
    step_s: int
    steps: list[StepView]
    calls: list[CallsView]
    unreadable: list[str]


def view(found: Series, unreadable: Unreadable) -> SeriesView:
    """Show a range of time."""
    return {
        "range": str(found.range),
        "since": instant(found.since),
        "until": instant(found.until),
        "step_s": int(found.range.step.total_seconds()),
        **_took(found.took),
        "steps": [
            {
                "since": instant(step.since),
                "until": instant(step.until),
                "pushes": step.pushes,
                "acknowledged": step.acknowledged,
                "dead": step.dead,
                "oldest_waiting_s": _seconds(step.oldest_waiting_s),
                **_took(step.took),
            }
            for step in found.steps
        ],
        "calls": [
            {
                "call": made.call,
                "calls": made.count,
                "answers": dict(sorted(made.answers.items())),
                "error_share": round(made.error_share, 4),
                **_took(made.took),
            }
            for made in found.calls
        ],
        "unreadable": list(unreadable.sentences),
    }


def _took(took: Percentiles) -> PercentilesView:
    return {
        "p50_s": _seconds(took.p50_s),
        "p95_s": _seconds(took.p95_s),
        "p99_s": _seconds(took.p99_s),
    }


def _seconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
