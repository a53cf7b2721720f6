"""The sandbox's own clock: moved forward or sped up by the control side. Never set back.

Visibility, push schedule, idempotency store and rate limit run by it. Holds, drips and latency do
not: they are felt by a client whose own time-outs run in real seconds.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime


def iso(at_s: float | None) -> str | None:
    """Write epoch seconds as Klarna writes time: ISO 8601, UTC, milliseconds, `Z` (rec)."""
    if at_s is None:
        return None
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class MovableClock:
    """Seconds since the epoch, `speed` times as fast as real time.

    Reading takes no lock: the whole state is one tuple, replaced at once. Moving is for one caller
    at a time; whoever moves it wakes those who wait by it.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._ticks = ticks
        self.reset()

    def reset(self) -> None:
        """Show real time at real speed: the one step back, for when everything is forgotten."""
        self._state = (self._wall(), self._ticks(), 1.0)

    @property
    def speed(self) -> float:
        """How many sandbox seconds pass in one real second; 0 stands still."""
        return self._state[2]

    def now_s(self) -> float:
        """Seconds since the epoch by this clock."""
        base_s, since, speed = self._state
        return base_s + (self._ticks() - since) * speed

    def advance(self, seconds: float) -> None:
        """Jump forward; the speed stays. Raises ValueError for a step back."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self._state = (self.now_s() + seconds, self._ticks(), self.speed)

    def run_at(self, speed: float) -> None:
        """Run `speed` times as fast from now on. Raises ValueError below 0."""
        if speed < 0:
            raise ValueError("the clock only moves forward")
        self._state = (self.now_s(), self._ticks(), speed)

    def real_s_until(self, at_s: float) -> float | None:
        """Real seconds until `at_s` at the present speed, 0 when it is past, None for never."""
        left_s = at_s - self.now_s()
        if left_s <= 0:
            return 0.0
        return left_s / self.speed if self.speed else None
