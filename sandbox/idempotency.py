"""First answers by `Klarna-Idempotency-Key`. Looks at nothing but the key.

A duplicate gets the first answer for 24 h, whatever it asks for and for whatever order (doc).
Whether a first answer that is an error is kept too is assumed, hence the setting
`idempotency_keeps`. 5xx is never kept: Klarna wants it retried with the same key (doc).
"""

from sandbox.answers import ApiAnswer

#: How long a key is remembered, by the sandbox's clock (doc).
KEPT_S = 24 * 3600
_SERVER_ERRORS = 500
_ERRORS = 300


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
