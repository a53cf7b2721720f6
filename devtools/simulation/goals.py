"""What each scenario must show, and whether it did. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Whether a goal is met."""

    MET = "met"
    MISSED = "**not met**"


@dataclass(frozen=True, slots=True)
class Goal:
    """One promise: what was measured must not exceed `limit`, or be just that when `exactly`."""

    text: str
    measured: float
    limit: float
    unit: str = ""
    exactly: bool = False

    @property
    def verdict(self) -> Verdict:
        """Hold what was measured against the limit."""
        holds = self.measured == self.limit if self.exactly else self.measured <= self.limit
        return Verdict.MET if holds else Verdict.MISSED

    @property
    def bound(self) -> str:
        """Write the limit for a table."""
        sign = "" if self.exactly or not self.limit else "≤ "
        return f"{sign}{self.limit:,g} {self.unit}".rstrip()

    @property
    def shown(self) -> str:
        """Write what was measured for a table."""
        return f"{self.measured:,.4g} {self.unit}".rstrip()
