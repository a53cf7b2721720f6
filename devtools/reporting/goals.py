"""What a run must show, and whether it did. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from devtools.reporting.markdown import NONE
from devtools.reporting.numbers import Spread


class Bound(StrEnum):
    """On which side of its limit a goal is met."""

    AT_LEAST = "≥ "
    AT_MOST = "≤ "
    EXACTLY = ""


class GoalVerdict(StrEnum):
    """Whether a goal is met; of several rounds the median decides."""

    MET = "met"
    MISSED = "**not met**"
    NOT_MEASURED = "not measured"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class Goal:
    """One promise: `measured` must be at least, at most or exactly `limit`.

    `is_judged` is False when the run was too small for the number to say anything.
    """

    text: str
    measured: float | Spread | None
    limit: float
    unit: str = ""
    bound: Bound = Bound.AT_MOST
    digits: int = 0  # after the point, for a spread
    is_judged: bool = True

    @property
    def verdict(self) -> GoalVerdict:
        """Hold what was measured against the limit."""
        value = self.measured.median if isinstance(self.measured, Spread) else self.measured
        if value is None:
            return GoalVerdict.NOT_MEASURED
        if not self.is_judged:
            return GoalVerdict.NOT_JUDGED
        holds = {
            Bound.AT_LEAST: value >= self.limit,
            Bound.AT_MOST: value <= self.limit,
            Bound.EXACTLY: value == self.limit,
        }
        return GoalVerdict.MET if holds[self.bound] else GoalVerdict.MISSED

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Write it for a table: what, its bound, what was measured, the verdict."""
        return self.text, self.shown_limit, self.shown, self.verdict

    @property
    def shown_limit(self) -> str:
        """Write the limit for a table: `≤ 10 s`, or `0` where less is not possible."""
        sign = self.bound if self.limit or self.bound is not Bound.AT_MOST else ""
        return f"{sign}{self.limit:,g} {self.unit}".rstrip()

    @property
    def shown(self) -> str:
        """Write what was measured for a table."""
        if self.measured is None:
            return NONE
        if isinstance(self.measured, Spread):
            return self.measured.shown(self.digits)
        return f"{self.measured:,.4g} {self.unit}".rstrip()
