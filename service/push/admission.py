"""Which lane a push goes to by its sender, and when a push from an unverified source is too many.

A flood of made-up ids must neither delay Klarna's pushes nor fill Redis: see
`pushes.accounts.sources`.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable

from redis import Redis

from pushes import log
from pushes.accounts import sources
from pushes.accounts.sources import KnownSources
from pushes.model import Lane
from pushes.store import keys

_log = log.get(__name__)

# What is known of the sources is read this often: a new one is trusted so much later.
_KNOWN_FOR_S = 2.0

# What was refused is counted in Redis and logged this often, not push by push.
_TOLD_EVERY_S = 60.0


class TooManyUnverifiedError(Exception):
    """So many pushes from unverified sources wait that this one is not taken."""


class Admission:
    """Shared by the threads of one process; a stale reading is wrong by seconds."""

    def __init__(self, redis: Redis, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, KnownSources]] = {}
        self._refused: Counter[str] = Counter()
        self._told_at = -_TOLD_EVERY_S
        self._lock = threading.Lock()

    def lane_of(self, source: str | None, account: str) -> Lane:
        """Choose the lane of a push. Raises TooManyUnverifiedError or RedisError."""
        known_sources = self._known_sources(account)
        if known_sources.refuses(source):
            self._note_refusal(account)
            raise TooManyUnverifiedError
        return known_sources.lane_of(source)

    def _known_sources(self, account: str) -> KnownSources:
        until, known_sources = self._known.get(account, (0.0, None))
        if known_sources is None or self._monotonic() > until:
            known_sources = sources.known_sources(self._redis, account)
            self._known[account] = (self._monotonic() + _KNOWN_FOR_S, known_sources)
        return known_sources

    def _note_refusal(self, account: str) -> None:
        with self._lock:
            self._refused[account] += 1
            if self._monotonic() - self._told_at < _TOLD_EVERY_S:
                return
            refused, self._refused, self._told_at = self._refused, Counter(), self._monotonic()
        self._redis.hincrby(keys.COUNTERS, "unverified_refused", refused.total())
        _log.error(
            "push.unverified_refused",
            refused=dict(refused),
            meaning="too many pushes from unverified sources wait, so these were answered 503; "
            "a real one among them is sent again by Klarna, for 48 hours",
            action="somebody floods the push URL: set PUSH_TOKEN, or block the sender at the proxy",
        )
