"""What commands show to people, whatever shows it: sentences, facts, tables.

Refused: control characters in what others wrote (errors, references), which could rewrite the
terminal of whoever reads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | int | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headers. Only the column `prose` may be broken into lines, between its words.

    Where the columns do not fit beside each other, the first `titles` cells are the title of a row.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    prose: str | None = None
    titles: int = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values under a title; those without a value are left out."""

    title: str
    pairs: Sequence[tuple[str, Cell]]

    @property
    def known(self) -> list[tuple[str, str]]:
        """Those that have a value, as text."""
        return [(name, safe(str(value))) for name, value in self.pairs if value is not None]


# A bare string is a sentence on a line of its own.
Block = Table | Facts | str


def cell_text(value: Cell) -> str:
    """Write a cell; a dash when there is nothing in it."""
    return "-" if is_empty(value) else safe(str(value))


def is_empty(value: Cell) -> bool:
    """Whether there is nothing in a cell."""
    return value is None or value == ""


def safe(text: str) -> str:
    """Replace what could control a terminal by spaces."""
    return "".join(char if char.isprintable() else " " for char in text)
