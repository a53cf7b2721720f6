"""What Klarna keeps of one merchant's calls: first answers by key, how many came just now.

A duplicate of a `Klarna-Idempotency-Key` gets the first answer for 24 h, whatever it asks for and
for whatever order (doc). Whether a first answer that is an error is kept too is assumed, hence the
setting `idempotency_keeps`. 5xx is never kept: Klarna wants it retried with the same key (doc).

Klarna allows 200 requests/s live and 50/s in the playground for one merchant (doc). How it counts
is not known (assumed: any second, not a calendar one; a refused request does not count).
"""

from collections import deque
from dataclasses import dataclass, field

from sandbox.serving.answers import ApiAnswer

#: How long a key is remembered, by the sandbox's clock (doc).
KEPT_S = 24 * 3600
_SERVER_ERRORS = 500
_ERRORS = 300
_WINDOW_S = 1.0


class FirstAnswers:
    """What each key was answered first, and when. Its caller holds the lock."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[float, ApiAnswer]] = {}

    def find(self, key: str | None, now_s: float) -> ApiAnswer | None:
        """Give the answer to replay, or None when the key is absent, new or older than 24 h."""
        if key is None or key not in self._first:
            return None
        at_s, answer = self._first[key]
        return answer if now_s < at_s + KEPT_S else None

    def keep(self, key: str | None, answer: ApiAnswer, now_s: float, *, keeps: str) -> None:
        """Remember a first answer; `keeps` is `any` or `2xx`. One that has expired gives way."""
        limit = _ERRORS if keeps == "2xx" else _SERVER_ERRORS
        if key is not None and answer.status < limit:
            self._first[key] = (now_s, answer)


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


@dataclass(slots=True)
class MerchantCalls:
    """What is kept of one merchant; nothing of it counts for another. Its caller holds the lock."""

    first_answers: FirstAnswers = field(default_factory=FirstAnswers)
    rate_limit: RateLimit = field(default_factory=RateLimit)
