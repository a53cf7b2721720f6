"""The rate limit: at most so many requests in any one second. Knows no HTTP.

Klarna allows 200 requests/s live and 50/s in the playground for one merchant (doc). How it counts
is not known (assumed: any second, not a calendar one; a refused request does not count).
"""

from collections import deque

_WINDOW_S = 1.0


class RateLimit:
    """The times of the requests let through in the last second. Its caller holds the lock."""

    def __init__(self) -> None:
        self._let_through: deque[float] = deque()

    def allows(self, now_s: float, rate_per_s: int | None) -> bool:
        """Whether one more request may pass now; if so it is counted. None allows everything."""
        if rate_per_s is None:
            return True
        while self._let_through and self._let_through[0] <= now_s - _WINDOW_S:
            self._let_through.popleft()
        if len(self._let_through) >= rate_per_s:
            return False
        self._let_through.append(now_s)
        return True
