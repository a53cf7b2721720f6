"""What one scenario has shown: the numbers of every scenario, its own, and the goals."""

from collections import Counter
from dataclasses import dataclass, field

from devtools.reporting.goals import Goal, GoalVerdict


@dataclass
class ScenarioResult:
    """One scenario's outcome; times are virtual, but for `took_s`."""

    name: str
    description: str  # what was played, in a sentence
    orders: int = 0
    refused: int = 0
    resent: int = 0
    lost: int = 0
    waiting: int = 0
    unverified: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    spent: Counter[int] = field(default_factory=Counter)
    requests: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    busiest_second: int = 0
    drain_s: float | None = None
    optimum_s: float | None = None
    fresh: str = ""  # which orders `fresh_p95_s` is about
    fresh_p95_s: float = 0
    calls_per_minute: int | None = None
    alarms: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    memory_bytes: int = 0
    played_s: float = 0
    took_s: float = 0
    notes: list[str] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)

    @property
    def not_judged(self) -> list[Goal]:
        """The goals about which so small a run says nothing."""
        return [goal for goal in self.goals if goal.verdict is GoalVerdict.NOT_JUDGED]

    @property
    def missed(self) -> list[Goal]:
        """The goals that are not met."""
        return [goal for goal in self.goals if goal.verdict is GoalVerdict.MISSED]

    @property
    def attempts_per_order(self) -> float:
        """How many attempts were made for an order, on average; those for forged ones, too."""
        return self.attempts / max(1, self.orders)

    @property
    def spent_per_order(self) -> float:
        """How many attempts an order was charged with, on average."""
        charged = sum(number * orders for number, orders in self.spent.items())
        return charged / max(1, self.spent.total())
