"""What was measured, and medians, ratios and percentiles of it. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import NamedTuple, Self


class Key(NamedTuple):
    """What a figure is about: whose it is, under what condition, and its name with its unit."""

    subject: str
    condition: str
    figure: str


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of all rounds, and the lowest and highest of them."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Summarise rounds; there must be at least one."""
        return cls(min(values), median(values), max(values))

    def shown(self, digits: int = 0) -> str:
        """Write it for a table: `1,330 (1,290 to 1,350)`, or the one number of a single round."""
        low, middle, high = (f"{value:,.{digits}f}" for value in (self.low, self.median, self.high))
        return middle if low == high else f"{middle} ({low} to {high})"


class Figures:
    """Every figure of a run, round by round."""

    def __init__(self) -> None:
        self._rounds: defaultdict[Key, list[float]] = defaultdict(list)

    def note(self, key: Key, value: float) -> None:
        """Add what one round gave."""
        self._rounds[key].append(value)

    def spread(self, key: Key) -> Spread | None:
        """Summarise a figure; None when it was not measured."""
        values = self._rounds.get(key)
        return Spread.of(values) if values else None

    def ratio(self, ours: Key, theirs: Key) -> Spread | None:
        """Divide round by round, so that a machine that slows down slows both; None as above."""
        pairs = list(zip(self._rounds.get(ours, []), self._rounds.get(theirs, []), strict=False))
        ratios = [mine / other for mine, other in pairs if other]
        return Spread.of(ratios) if ratios else None


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of all do not exceed.

    Raises ValueError when there are none.
    """
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]
