"""How everything was a moment ago: read once for all who look, the longer it took the more rarely.

With many dead letters and accounts an overview is read in tenths of a second. Every open page asks
for one every few seconds, in a process that also takes pushes.
"""

import threading
from collections.abc import Callable
from time import monotonic

from pushes.read.overview import Overview

# What is read faster than this is read for each.
_QUICK_S = 0.05

# So much of the time at most is spent on reading it.
_SHARE = 0.05


class RecentOverview:
    """Threads share it. `read` raises RedisError as what it calls does."""

    def __init__(
        self, read: Callable[[], Overview], clock: Callable[[], float] = monotonic
    ) -> None:
        self._read = read
        self._clock = clock
        self._reading = threading.Lock()
        self._seen: Overview | None = None
        self._good_until = 0.0

    def read(self) -> Overview:
        """Return how everything is, or was when it was read last; `at` says when that was."""
        seen = self._seen
        if seen is not None and self._clock() < self._good_until:
            return seen
        if not self._reading.acquire(blocking=seen is None) and seen is not None:
            return seen  # somebody reads it at this moment, and nobody waits for that
        try:
            began = self._clock()
            self._seen = seen = self._read()
            took_s = self._clock() - began
            self._good_until = began + (took_s / _SHARE if took_s > _QUICK_S else 0.0)
        finally:
            self._reading.release()
        return seen
