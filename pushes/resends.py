"""When Klarna pushes an order again that is not acknowledged. Pure: times in, times out.

It re-sends a push 5, 15, 30 and 60 minutes after the first, then every 4 hours, for 48 hours,
whatever we answer (Klarna docs, "Push"). The last one comes 45 hours after the first.
"""

from datetime import datetime, timedelta

from pushes.model import PUSH_WINDOW

_FIRST = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60))
_THEN_EVERY = timedelta(hours=4)

# How long after the first push each re-send comes.
SCHEDULE = (
    *_FIRST,
    *(_FIRST[-1] + number * _THEN_EVERY for number in range(1, PUSH_WINDOW // _THEN_EVERY)),
)


def next_after(first_push_at: datetime, moment: datetime) -> datetime | None:
    """Say when the first re-send after `moment` is expected; None after the last one."""
    expected = (first_push_at + wait for wait in SCHEDULE)
    return next((at for at in expected if at > moment), None)
