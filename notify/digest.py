"""The daily digest: what came in the last 24 hours, what became of it, and what waits."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from notify.messages import Message
from pushes.model import Push, State
from pushes.read import overview
from pushes.read.at_risk import OVERDUE
from pushes.read.lately import series
from pushes.read.lately.series import Series
from pushes.read.overview import Overview
from pushes.read.search.moments import describe_span
from pushes.read.unreadable import Unreadable
from pushes.store import keys, records
from pushes.store.counted.series import Range
from pushes.store.ledger import Ledger

# So many of the slowest orders are named.
_SLOWEST = 3


@dataclass(frozen=True, slots=True)
class Day:
    """What the digest tells of."""

    seen: Overview
    day: Series
    slowest: tuple[Push, ...]


def compose(ledger: Ledger, now: datetime) -> Message:
    """Word the digest of the day that ends now. Raises RedisError."""
    return word(read(ledger, now))


def read(ledger: Ledger, now: datetime) -> Day:
    """Read what the digest tells of. Raises RedisError."""
    seen = overview.read(ledger, now, in_detail=False)
    day = series.read(ledger.redis, Range.DAY, now, Unreadable())
    return Day(seen, day, _slowest(ledger))


def word(found: Day) -> Message:
    """Word it. Pure."""
    return Message("klarna-ack: the last 24 hours", "\n".join(_lines(found)))


def _slowest(ledger: Ledger) -> tuple[Push, ...]:
    """Read the orders that wait longest: those with the first deadlines."""
    pipeline = ledger.redis.pipeline(transaction=False)
    for state in State:
        if state.is_waiting:
            pipeline.zrange(keys.index(state), 0, _SLOWEST - 1)
    members = [name for names in cast(list[list[bytes]], pipeline.execute()) for name in names]
    wanted = [key for name in members if (key := keys.find_key(name))]
    found = [push for push in records.get_many(ledger.redis, wanted) if push]
    return tuple(sorted(found, key=lambda push: push.first_push_at)[:_SLOWEST])


def _lines(found: Day) -> Iterator[str]:
    seen, steps = found.seen, found.day.steps
    yield f"Received: {sum(step.pushes for step in steps):,} pushes"
    yield f"Acknowledged: {sum(step.acknowledged for step in steps):,} orders{_took(found.day)}"
    reasons = [f"{count:,} {reason}" for reason, count in seen.dead_by_reason.items() if count]
    waiting = f"{seen.states[State.DEAD]:,} wait for you"
    yield (
        f"Dead: {sum(step.dead for step in steps):,} orders; {waiting}"
        f"{': ' if reasons else ''}{', '.join(reasons)}"
    )
    yield f"At risk: {_at_risk(seen)}"
    yield "Slowest of those that wait:" if found.slowest else "Slowest: nothing waits"
    for push in found.slowest:
        age = describe_span((seen.at - push.first_push_at).total_seconds())
        yield f"- {push.key.order_id} of {push.key.account}: {push.state}, pushed {age} ago"
    if seen.unreadable:
        yield f"Not counted: {len(seen.unreadable):,} facts in Redis that cannot be read"


def _took(day: Series) -> str:
    if day.took.p50_s is None or day.took.p99_s is None:
        return ""
    return f", half within {_short(day.took.p50_s)}, 99 of 100 within {_short(day.took.p99_s)}"


def _short(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else describe_span(seconds)  # noqa: PLR2004 - a minute


def _at_risk(seen: Overview) -> str:
    parts = [
        f"{group.orders:,} past the deadline"
        if group.under_h == OVERDUE
        else f"{group.orders:,} with less than {group.under_h} h left"
        for group in seen.at_risk
        if group.orders
    ]
    return ", ".join(parts) or "nothing"
