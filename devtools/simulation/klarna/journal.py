"""What Klarna has seen of us: how many requests when, and which orders were acknowledged how."""

from collections import Counter, deque
from dataclasses import dataclass, field

from klarna import Operation

_SECOND_S = 1.0
_MINUTE_S = 60.0
# Requests exactly a second apart are not in the same second, whatever floating point says.
_GRAIN_S = 1e-6


class SlidingSecond:
    """Counts what happened in the last second."""

    def __init__(self) -> None:
        self._moments: deque[float] = deque()

    def count(self, now_s: float) -> int:
        """Tell how many there were in the second that ends now."""
        moments, since = self._moments, now_s - _SECOND_S + _GRAIN_S
        while moments and moments[0] <= since:
            moments.popleft()
        return len(moments)

    def add(self, now_s: float) -> int:
        """Note one more, and tell how many that makes."""
        self._moments.append(now_s)
        return self.count(now_s)


@dataclass
class Journal:
    """The numbers of one scenario; times are virtual seconds."""

    requests: int = 0
    busiest_second: int = 0
    by_minute: Counter[int] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    acknowledged_at: dict[str, float] = field(default_factory=dict)
    acknowledged_again: int = 0
    unverified: list[str] = field(default_factory=list)
    _second: SlidingSecond = field(default_factory=SlidingSecond)
    _shown: set[str] = field(default_factory=set)

    def requested(self, now_s: float) -> None:
        """Count a request as it arrives, whatever becomes of it."""
        self.requests += 1
        self.by_minute[int(now_s // _MINUTE_S)] += 1
        self.busiest_second = max(self.busiest_second, self._second.add(now_s))

    def done(self, operation: Operation, order_id: str, now_s: float) -> None:
        """Note what a request brought about: the order shown, or acknowledged."""
        if operation is Operation.GET_ORDER:
            self._shown.add(order_id)
            return
        if order_id not in self._shown:
            self.unverified.append(order_id)
        self._shown.discard(order_id)
        if order_id in self.acknowledged_at:
            self.acknowledged_again += 1
        else:
            self.acknowledged_at[order_id] = now_s

    def busiest_minute(self, since_s: float, until_s: float) -> int:
        """Tell the most requests in a minute that lies wholly between two moments."""
        minutes = range(int(-(-since_s // _MINUTE_S)), int(until_s // _MINUTE_S))
        return max((self.by_minute[minute] for minute in minutes), default=0)
