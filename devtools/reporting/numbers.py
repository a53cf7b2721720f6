"""Percentiles, and the spread of several rounds. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Self

# 0.07 of 100 is 7.000000000000001 in floating point, and shall be the 7th, not the 8th.
_DIGITS = 9


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of all do not exceed.

    That is one of the values (the nearest rank), never one between two. Raises ValueError when
    there are none.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, ceil(round(share * len(ordered), _DIGITS)) - 1)]


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
