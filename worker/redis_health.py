"""Whether Redis answers, told once when it changes; a worker rides out its absence.

After Redis was away the leases of all workers are stale at once, and say nothing about who died.
"""

import threading

from redis.exceptions import RedisError

from pushes import log
from pushes.store.rq_mirror import LEASE_S
from pushes.store.server.durability import fault_of
from worker.clock import SYSTEM_CLOCK, Clock

_log = log.get(__name__)


class RedisHealth:
    """What one worker's threads have seen of Redis."""

    def __init__(self, worker: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self._worker = worker
        self._clock = clock
        self._well_since: float | None = None
        self._was_away = False
        self._lock = threading.Lock()

    def note_away(self, error: RedisError) -> None:
        """Say once that Redis does not answer."""
        with self._lock:
            is_news = self._well_since is not None or not self._was_away
            self._well_since, self._was_away = None, True
        if is_news:
            _log.warning(
                "worker.redis_away",
                error=f"{type(error).__name__}: {error}"[:200],
                meaning="no push is lost; nothing is acknowledged until Redis serves again",
                action=f"{fault_of(error).remedy}; the worker goes on by itself",
            )

    def note_there(self) -> None:
        """Say once that Redis is back, if it was away."""
        with self._lock:
            is_news = self._well_since is None
            if is_news:
                self._well_since = self._clock.monotonic()
        if is_news and self._was_away:
            _log.info("worker.redis_back", worker=self._worker)

    @property
    def leases_tell(self) -> bool:
        """Whether a lease that lapsed means a death: everybody had time to renew theirs."""
        well_since = self._well_since
        if well_since is None:
            return False
        return not self._was_away or self._clock.monotonic() - well_since >= LEASE_S
