"""Which lane a push goes to by its sender, and when a push of its sender is one too many.

A flood of made-up ids must neither delay Klarna's pushes nor fill Redis: see
`pushes.accounts.sources`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from redis import Redis

from pushes import policy
from pushes.accounts import sources
from pushes.accounts.sources import KnownSources
from pushes.model import TRUSTED, Lane

# What is known of the sources is read this often: a new one is trusted so much later.
_KNOWN_FOR_S = 2.0

# So many networks are told apart at a time; then what is known of them is read again.
_MOST_NETWORKS = 10_000


class TooManyWaitingError(Exception):
    """So many pushes of unverified sources wait, or of this one network, that it is not taken."""


@dataclass(slots=True)
class _Waiting:
    """How many pushes of one network wait, as far as this process knows."""

    until: float
    pushes: int


class Admission:
    """Shared by the threads of one process; a stale reading is wrong by seconds."""

    def __init__(self, redis: Redis, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, KnownSources]] = {}
        self._waiting: dict[tuple[str, str], _Waiting] = {}

    def lane_of(self, source: str | None, account: str) -> Lane:
        """Choose the lane of a push. Raises TooManyWaitingError or RedisError."""
        known_sources = self._known_sources(account)
        if known_sources.refuses(source):
            raise TooManyWaitingError
        lane = known_sources.lane_of(source)
        if source is None or source == TRUSTED or lane is Lane.UNKNOWN:
            return lane
        waiting = self._count(account, source)
        if waiting > policy.MAX_WAITING_OF_A_NETWORK:
            raise TooManyWaitingError
        return lane if waiting <= policy.FRESH_OF_A_NETWORK else Lane.BACKLOG

    def _count(self, account: str, source: str) -> int:
        """Count what waits of a network, this push and those since the last reading included."""
        waiting = self._waiting.get((account, source))
        if waiting is None or self._monotonic() > waiting.until:
            if len(self._waiting) >= _MOST_NETWORKS:
                self._waiting.clear()
            pushes = sources.count_waiting(self._redis, account, source)
            waiting = _Waiting(self._monotonic() + _KNOWN_FOR_S, pushes)
            self._waiting[account, source] = waiting
        waiting.pushes += 1
        return waiting.pushes

    def _known_sources(self, account: str) -> KnownSources:
        until, known_sources = self._known.get(account, (0.0, None))
        if known_sources is None or self._monotonic() > until:
            known_sources = sources.known_sources(self._redis, account)
            self._known[account] = (self._monotonic() + _KNOWN_FOR_S, known_sources)
        return known_sources
