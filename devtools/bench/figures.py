"""What was measured, round by round, and ratios of it. Pure."""

from collections import defaultdict
from typing import NamedTuple

from devtools.reporting.numbers import Spread


class Key(NamedTuple):
    """What a figure is about: whose it is, under what condition, and its name with its unit."""

    subject: str
    condition: str
    figure: str


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
