"""One thing that was looked at, and what came of it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How one thing is; the worst of all is how everything is."""

    OK = "ok"
    SKIPPED = "skipped"  # it could not be looked at from here
    WARNING = "warning"  # it works, and an operator should know
    FAILED = "failed"  # orders are not acknowledged, or may be lost

    @property
    def weight(self) -> int:
        """Order them, the worst last."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was seen, and the remedy when that is not as it should be."""

    name: str
    severity: Severity
    seen: str
    remedy: str = ""
    account: str | None = None
