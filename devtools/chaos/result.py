"""What one trial has shown: the row of the table, the measured times, what was broken."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class SenderLog:
    """What the sender has seen: what was accepted counts, whatever else is said. Epoch seconds."""

    first_sent: dict[str, float] = field(default_factory=dict)
    accepted: dict[str, float] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    slowest_answer_s: float = 0
    wrong: list[str] = field(default_factory=list)  # neither 200, nor 503, nor no answer


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of one kind, and how many of them are allowed; None: measured, not judged."""

    what: str
    seconds: list[float]
    limit_s: float | None = None

    @property
    def slowest_s(self) -> float:
        """The worst of all."""
        return max(self.seconds, default=0.0)


@dataclass
class TrialResult:
    """One trial's outcome; `broken` is empty when all invariants hold."""

    name: str
    orders: int = 0
    accepted: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)  # restarts and freezes
    lost: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    run_again: int = 0
    acknowledged_twice: int = 0
    times: list[Times] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    sender_log: SenderLog = field(default_factory=SenderLog)
    comparisons: int = 0  # of ledger and RQ, while the trouble went on
    disagreements: list[str] = field(default_factory=list)
    took_s: float = 0

    @property
    def slowest_s(self) -> float | None:
        """The slowest recovery of all that has a limit."""
        judged = [times.slowest_s for times in self.times if times.limit_s is not None]
        return max(judged, default=None)
