"""Which lane a push goes to by its sender, and when a push from an unverified source is too many.

A flood of made-up ids must neither delay Klarna's pushes nor fill Redis: see
`pushes.accounts.sources`.
"""

import time
from collections.abc import Callable

from redis import Redis

from pushes.accounts import sources
from pushes.accounts.sources import KnownSources
from pushes.model import Lane

# What is known of the sources is read this often: a new one is trusted so much later.
_KNOWN_FOR_S = 2.0


class TooManyUnverifiedError(Exception):
    """So many pushes from unverified sources wait that this one is not taken."""


class Admission:
    """Shared by the threads of one process; a stale reading is wrong by seconds."""

    def __init__(self, redis: Redis, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, KnownSources]] = {}

    def lane_of(self, source: str | None, account: str) -> Lane:
        """Choose the lane of a push. Raises TooManyUnverifiedError or RedisError."""
        known_sources = self._known_sources(account)
        if known_sources.refuses(source):
            raise TooManyUnverifiedError
        return known_sources.lane_of(source)

    def _known_sources(self, account: str) -> KnownSources:
        until, known_sources = self._known.get(account, (0.0, None))
        if known_sources is None or self._monotonic() > until:
            known_sources = sources.known_sources(self._redis, account)
            self._known[account] = (self._monotonic() + _KNOWN_FOR_S, known_sources)
        return known_sources
