"""When Klarna pushes an order again that is not acknowledged, and what it means when it does not.

Pure. Klarna re-sends a push 5, 15, 30 and 60 minutes after the first, then every 4 hours, for 48
hours, whatever we answer (Klarna docs, "Push"). The last one comes 45 hours after the first.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pushes.model import PUSH_WINDOW, Push, Reason

_FIRST = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60))
_THEN_EVERY = timedelta(hours=4)

# How long after the first push each re-send comes.
SCHEDULE = (
    *_FIRST,
    *(_FIRST[-1] + number * _THEN_EVERY for number in range(1, PUSH_WINDOW // _THEN_EVERY)),
)

# A re-send may come so much before it is expected: our first push may be one that was delayed.
EARLY = timedelta(minutes=3)

# So much after it was expected a re-send is missed. Klarna promises no punctuality, and a web
# process that is restarted makes it wait.
GRACE = timedelta(minutes=10)

# So many misses within an hour are no accident of one order or of one delivery.
_MISSES = 5

# And so large a part of what was expected: pushes that get through sometimes are another trouble.
_MISSED_SHARE = 0.8


def next_after(first_push_at: datetime, moment: datetime) -> datetime | None:
    """Say when the first re-send after `moment` is expected; None after the last one."""
    expected = (first_push_at + wait for wait in SCHEDULE)
    return next((at for at in expected if at > moment), None)


@dataclass(frozen=True, slots=True)
class ResendCounts:
    """How many re-sends came, and how many did not."""

    seen: int = 0
    missed: int = 0

    @property
    def expected(self) -> int:
        """How many should have come."""
        return self.seen + self.missed


def is_seen(push: Push, expected: datetime) -> bool:
    """Whether the order was pushed when a re-send was expected, or later."""
    return push.last_push_at >= expected - EARLY


def awaited(push: Push, now: datetime) -> datetime | None:
    """Say which re-send is not given up yet: the first that is not older than `GRACE`."""
    return next_after(push.first_push_at, now - GRACE)


def due_by(push: Push, expected: datetime, now: datetime) -> list[datetime]:
    """List the re-sends from `expected` on that have come by now, if they come at all."""
    due = []
    # A time that was stored may differ from the schedule's by a millisecond.
    following = next_after(push.first_push_at, expected - timedelta(seconds=1))
    while following is not None and following + GRACE <= now:
        due.append(following)
        following = next_after(push.first_push_at, following)
    return due


def says_something(push: Push) -> bool:
    """Whether a miss means anything: Klarna never pushes an order again that it does not know."""
    is_unknown = push.not_found > 0 or push.reason is Reason.NO_SUCH_ORDER
    return push.verified_at is not None or not is_unknown


def do_not_reach_us(hour: ResendCounts) -> bool:
    """Judge by the re-sends of the last hour whether Klarna's pushes fail to get here."""
    return hour.missed >= _MISSES and hour.missed >= _MISSED_SHARE * hour.expected
