"""What happened to all pushes: attempts by outcome, calls by duration, and the like.

What a change means is counted in the step that commits it, whichever process commits it: once, and
for every reader. A counter is a field of one hash. A histogram has a field for each bucket that
something fell into, and one for the sum, in milliseconds.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import cast

from redis import Redis

from pushes.model import Change, Entry, Push, State
from pushes.origin import KLARNA
from pushes.store import codec, keys
from pushes.store.rq_mirror import Command

# The last whole minute is read while the next one goes on; a clock may be seconds behind.
_MINUTE_KEPT_S = 180

_SUM = "sum"
_BEYOND = "inf"

# What a change adds, by field.
_Added = tuple[str, int]


class Total(StrEnum):
    """What is counted; each by one label, whose values come from our own code."""

    ACCEPTED = "accepted"  # pushes, by what they found: `AcceptedAs`
    ADMITTED = "admitted"  # orders that a push queued, by lane
    ATTEMPTS = "attempts"  # by outcome
    RETRIES = "retries"  # by what they are spent on
    DEAD = "dead"  # by reason
    OPERATED = "operated"  # orders changed at an operator's word, by event
    HOLDS = "holds"  # of accounts, by reason: begin_hold.lua
    PAUSES = "pauses"  # by who was answered 429, an `order` alone or the `account`: limit.lua


_TOTALS = frozenset(Total)


class AcceptedAs(StrEnum):
    """What an accepted push found."""

    NEW = "new"  # no record: the order is queued
    WAITING = "waiting"  # the order is in hand: counted, no more
    EXPEDITED = "expedited"  # the order was retrying after a failure, and is tried at once
    REVIVED = "revived"  # the order was dead, or settled long ago, and is queued again
    SETTLED = "settled"  # the order was settled a moment ago: counted, no more
    DEAD = "dead"  # the order stays dead: Klarna did not know it a moment ago, or it is discarded


class Spent(StrEnum):
    """What a retry is counted against."""

    FAILURE = "failure"
    NOT_FOUND = "not_found"
    RATE_LIMIT = "rate_limit"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Buckets:
    """The bounds of a histogram, in seconds, lowest first; what is above all of them is `inf`."""

    name: str
    bounds_s: tuple[float, ...]

    def added(self, seconds: float, *labels: str) -> tuple[_Added, _Added]:
        """Say what one value adds."""
        bound = next((f"{bound:g}" for bound in self.bounds_s if seconds <= bound), _BEYOND)
        prefix = ":".join((self.name, *labels))
        return (f"{prefix}:{bound}", 1), (f"{prefix}:{_SUM}", round(seconds * 1000))


# A call to Klarna, or to the merchant's own system, lasts 15 s at most.
CALLS = Buckets("call", (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0))

# A push is answered in milliseconds; while Redis is away it may wait 0.7 s, twice at most.
REQUESTS = Buckets("http", (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0))

# From a moment to the 48 hours in which Klarna pushes; the long ones are the retry delays.
ACKNOWLEDGED_AFTER = Buckets(
    "acknowledged_after",
    (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 14400.0, 43200.0, 172800.0),
)


@dataclass(slots=True)
class Distribution:
    """How often a value fell into each bucket, not counted up; and the sum of all, in seconds."""

    counts: Counter[str] = field(default_factory=Counter)
    sum_s: float = 0.0

    def cumulated(self, buckets: Buckets) -> list[tuple[str, int]]:
        """Count up for each bound, as Prometheus has it; what is left goes into `+Inf`."""
        below, found = 0, []
        for bound in buckets.bounds_s:
            below += self.counts[f"{bound:g}"]
            found.append((f"{bound}", below))
        return [*found, ("+Inf", self.counts.total())]

    def percentile(self, buckets: Buckets, percent: float) -> float | None:
        """Estimate the seconds that so many percent of the values reach at most; None of none.

        Values are taken to lie evenly in their bucket, as Prometheus takes them. What is above all
        bounds counts as the highest.
        """
        wanted, below, lowest = self.counts.total() * percent / 100, 0, 0.0
        for bound in buckets.bounds_s:
            here = self.counts[f"{bound:g}"]
            if here and below + here >= wanted:
                return lowest + (bound - lowest) * (wanted - below) / here
            below, lowest = below + here, bound
        return lowest if self.counts.total() else None


@dataclass(frozen=True, slots=True)
class Totals:
    """What was counted since the first push.

    `calls` are by call and by answer, `requests` by endpoint and by status.
    """

    counts: Mapping[Total, Mapping[str, int]] = field(default_factory=dict)
    calls: Mapping[tuple[str, str], Distribution] = field(default_factory=dict)
    requests: Mapping[tuple[str, str], Distribution] = field(default_factory=dict)
    acknowledged_after: Distribution = field(default_factory=Distribution)


def commands(change: Change) -> list[Command]:
    """List what counts a change: one command, `COUNT` of commit.lua, which never fails."""
    added = [*_of_push(change), *_of_attempt(change), *_of_entries(change), *_of_end(change)]
    if not added:
        return []
    return [("COUNT", keys.TOTALS, *(word for pair in added for word in pair))]


def add(redis: Redis, counted: Mapping[str, int]) -> None:
    """Add what a process has counted, by field. Raises RedisError."""
    pipeline = redis.pipeline(transaction=False)
    for name, count in counted.items():
        pipeline.hincrby(keys.TOTALS, name, count)
    pipeline.execute()


def read(redis: Redis) -> Totals:
    """Read what was counted; fields that nobody here knows are left out. Raises RedisError."""
    raw = cast(dict[bytes, bytes], redis.hgetall(keys.TOTALS))
    return parse(
        {name.decode(errors="replace"): codec.number(value) for name, value in raw.items()}
    )


def parse(counted: Mapping[str, int]) -> Totals:
    """Sort what was counted by what it counts; fields that nobody here knows are left out."""
    counts: dict[Total, dict[str, int]] = {total: {} for total in Total}
    calls: dict[tuple[str, str], Distribution] = {}
    requests: dict[tuple[str, str], Distribution] = {}
    acknowledged_after = Distribution()
    for name, number in sorted(counted.items()):
        match name.split(":"):
            case [total, label] if total in _TOTALS:
                counts[Total(total)][label] = number
            case [CALLS.name, call, answer, bucket]:
                _add(calls.setdefault((call, answer), Distribution()), bucket, number)
            case [REQUESTS.name, endpoint, status, bucket]:
                _add(requests.setdefault((endpoint, status), Distribution()), bucket, number)
            case [ACKNOWLEDGED_AFTER.name, bucket]:
                _add(acknowledged_after, bucket, number)
    return Totals(counts, calls, requests, acknowledged_after)


def add_quota(
    redis: Redis, slots: Mapping[str, int], waited: Mapping[str, timedelta], now: datetime
) -> None:
    """Count the calls of accounts that had a slot, and how long they waited for it.

    They are counted in total, and in the minute that `now` is in.
    Raises RedisError; then nothing is known to be counted.
    """
    minute = keys.quota_used(_minute(now))
    pipeline = redis.pipeline(transaction=False)
    for account, count in slots.items():
        pipeline.hincrby(keys.QUOTA_TOTALS, f"{account}:slots", count)
        pipeline.hincrby(minute, account, count)
    pipeline.expire(minute, _MINUTE_KEPT_S)
    for account, time in waited.items():
        milliseconds = round(time.total_seconds() * 1000)
        pipeline.hincrby(keys.QUOTA_TOTALS, f"{account}:waited_ms", milliseconds)
    pipeline.execute()


def quota_lately(redis: Redis, accounts: Iterable[str], now: datetime) -> dict[str, int]:
    """Read how many calls accounts had in the last whole minute. Raises RedisError."""
    names = list(accounts)
    minute = keys.quota_used(_minute(now) - 1)
    raw = cast(list[bytes | None], redis.hmget(minute, names) if names else [])
    return {name: codec.number(count or 0) for name, count in zip(names, raw, strict=True)}


def quota(redis: Redis, accounts: Iterable[str]) -> dict[str, tuple[int, float]]:
    """Read for accounts how many slots were used, and the seconds waited for them."""
    names = list(accounts)
    if not names:
        return {}
    fields = [f"{name}:{word}" for name in names for word in ("slots", "waited_ms")]
    raw = cast(list[bytes | None], redis.hmget(keys.QUOTA_TOTALS, fields))
    numbers = [codec.number(value or 0) for value in raw]
    pairs = zip(names, numbers[::2], numbers[1::2], strict=True)
    return {name: (slots, waited_ms / 1000) for name, slots, waited_ms in pairs}


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // 60


def _add(found: Distribution, bucket: str, number: int) -> None:
    if bucket == _SUM:
        found.sum_s += number / 1000
    else:
        found.counts[bucket] += number


def _of_push(change: Change) -> list[_Added]:
    """Count a push of Klarna's, and the order that it queued."""
    before, after = change.before, change.after
    if before is not None and after.pushes <= before.pushes:
        return []
    if change.entries and change.entries[-1].event != KLARNA.event:
        return []  # queued by an operator, or found
    found = _found(before, after)
    added = [(f"{Total.ACCEPTED}:{found}", 1)]
    if found in {AcceptedAs.NEW, AcceptedAs.REVIVED}:
        added.append((f"{Total.ADMITTED}:{after.lane}", 1))
    return added


def _found(before: Push | None, after: Push) -> AcceptedAs:
    if before is None:
        return AcceptedAs.NEW
    if after.state is State.QUEUED and before.state is not State.QUEUED:
        return AcceptedAs.EXPEDITED if before.state is State.RETRYING else AcceptedAs.REVIVED
    if before.state.is_settled:
        return AcceptedAs.SETTLED
    return AcceptedAs.DEAD if before.state is State.DEAD else AcceptedAs.WAITING


def _of_attempt(change: Change) -> list[_Added]:
    """Count the end of an attempt, but of one that its worker put back."""
    before, after = change.before, change.after
    if before is None or before.state is not State.RUNNING or after.state is State.RUNNING:
        return []
    if after.attempts < before.attempts:
        return []
    if after.crashes > before.crashes:
        return [(f"{Total.ATTEMPTS}:crashed", 1)]
    added = [(f"{Total.ATTEMPTS}:{after.state}", 1)]
    if after.state is State.RETRYING:
        added.append((f"{Total.RETRIES}:{_spent_on(before, after)}", 1))
    return added


def _spent_on(before: Push, after: Push) -> Spent:
    if after.failures > before.failures:
        return Spent.FAILURE
    if after.not_found > before.not_found:
        return Spent.NOT_FOUND
    return Spent.RATE_LIMIT if after.limited > before.limited else Spent.NOTHING


def _of_entries(change: Change) -> list[_Added]:
    """Count the calls that an attempt made, and what an operator did."""
    added: list[_Added] = []
    for entry in change.entries:
        if entry.call and entry.elapsed_ms is not None:
            added += CALLS.added(entry.elapsed_ms / 1000, entry.call, _answer(entry))
        if entry.by:
            added.append((f"{Total.OPERATED}:{entry.event}", 1))
    return added


def _answer(entry: Entry) -> str:
    return f"{entry.http_status // 100}xx" if entry.http_status else "none"


def _of_end(change: Change) -> list[_Added]:
    """Count the death of a push, and how long one took to be acknowledged the first time."""
    before, after = change.before, change.after
    if after.state is State.DEAD and (before is None or before.state is not State.DEAD):
        return [(f"{Total.DEAD}:{after.reason}", 1)]
    if after.acknowledged_at and (before is None or before.acknowledged_at is None):
        took = after.acknowledged_at - after.first_push_at
        return [*ACKNOWLEDGED_AFTER.added(max(0.0, took.total_seconds()))]
    return []
