"""What an attempt knows of time. Tests and the simulator give another clock than the system's."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The time of day, a time that never jumps, and waiting."""

    def now(self) -> datetime:
        """Tell the time, aware and in UTC: for records, deadlines and what others read."""

    def monotonic(self) -> float:
        """Tell seconds since some moment of no meaning: for durations only."""

    def sleep(self, seconds: float) -> None:
        """Wait, the calling thread alone."""


class _SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


SYSTEM_CLOCK: Clock = _SystemClock()
