"""Doing something no more than so many times a second."""

import time
from collections.abc import Callable


class Pace:
    """Lets `wait` return at most `rate_per_s` times a second; None is as often as it is called."""

    def __init__(
        self,
        rate_per_s: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval_s = 1 / rate_per_s if rate_per_s else 0.0
        self._clock = clock
        self._sleep = sleep
        self._next_at = clock()

    def wait(self) -> None:
        """Sleep until it is time for the next one; the first need not wait."""
        if not self._interval_s:
            return
        now = self._clock()
        if now < self._next_at:
            self._sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + self._interval_s
