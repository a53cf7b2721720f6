"""When Klarna pushes an order: pure arithmetic on seconds. Sends nothing, keeps nothing.

The first push comes when the control side says. It is re-sent 5, 15, 30 and 60 minutes after the
first, then every 4 h, until 48 h have passed (doc). Only an acknowledge or a capture ends that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_MINUTE_S = 60
_HOUR_S = 3600
EARLY_RESENDS_S = (5 * _MINUTE_S, 15 * _MINUTE_S, 30 * _MINUTE_S, 60 * _MINUTE_S)
LATE_INTERVAL_S = 4 * _HOUR_S
# After 48 h Klarna gives up silently and the order stays open (doc).
LAST_RESEND_S = 48 * _HOUR_S

#: Seconds after the first push at which it is sent again: 15 times, the last after 45 h.
KLARNA_SCHEDULE_S: tuple[float, ...] = (
    *EARLY_RESENDS_S,
    *range(EARLY_RESENDS_S[-1] + LATE_INTERVAL_S, LAST_RESEND_S + 1, LATE_INTERVAL_S),
)


@dataclass(frozen=True, slots=True)
class PushRecord:
    """One push that was sent. `status` is None when no answer came; `ms` are real milliseconds."""

    seq: int
    at_s: float
    order_id: str
    url: str
    status: int | None
    ms: float


def due_at_s(first_s: float, resends_s: Sequence[float], taken: int) -> float | None:
    """When the next push is due after `taken` scheduled ones; None when there are no more."""
    if taken == 0:
        return first_s
    return first_s + resends_s[taken - 1] if taken <= len(resends_s) else None
