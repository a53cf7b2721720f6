"""What commands print: tables and panels on a terminal, plain aligned text into a pipe, or JSON.

Refused: control characters in what others wrote (errors, references), which could rewrite the
terminal of whoever reads them.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click
from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text

Cell = str | int | None

# What is copied or compared stays on one line, whatever the width of the terminal.
_NEVER_FOLDED = {"order_id", "at"}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headers."""

    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values under a title; those without a value are left out."""

    title: str
    pairs: Sequence[tuple[str, Cell]]


# A bare string is a sentence on a line of its own.
Block = Table | Facts | str


def emit_json(document: object, *, one_line: bool = False) -> None:
    """Print a document for scripts; `one_line` for one of several."""
    click.echo(json.dumps(document, indent=None if one_line else 2))


def emit(*blocks: Block) -> None:
    """Print for people, in the form that stdout calls for."""
    if sys.stdout.isatty():
        Console().print(as_rich(*blocks))
    else:
        click.echo(as_text(*blocks))


def as_rich(*blocks: Block) -> Group:
    """Make what a terminal shows."""
    return Group(*(_rich(block) for block in blocks))


def as_text(*blocks: Block) -> str:
    """Make plain aligned lines, a blank one between blocks."""
    return "\n\n".join(_text(block) for block in blocks)


def _rich(block: Block) -> RenderableType:
    match block:
        case str():
            return Text(safe(block))
        case Facts():
            grid = RichTable.grid(padding=(0, 2))
            for name, value in _known(block):
                grid.add_row(Text(name, "bold"), Text(value))
            return Panel.fit(grid, title=Text(safe(block.title)))
        case Table():
            table = RichTable(box=box.SIMPLE_HEAD)
            for header in block.headers:
                table.add_column(header, no_wrap=header in _NEVER_FOLDED, overflow="fold")
            for row in block.rows:
                table.add_row(*(Text(_cell(cell)) for cell in row))
            return table


def _text(block: Block) -> str:
    match block:
        case str():
            return safe(block)
        case Facts():
            return "\n".join([safe(block.title), *_aligned(_known(block))])
        case Table():
            return "\n".join(_aligned([block.headers, *block.rows]))


def _known(facts: Facts) -> list[tuple[str, str]]:
    return [(name, safe(str(value))) for name, value in facts.pairs if value is not None]


def _aligned(rows: Sequence[Sequence[Cell]]) -> list[str]:
    cells = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _cell(value: Cell) -> str:
    return "-" if value is None or value == "" else safe(str(value))


def safe(text: str) -> str:
    """Replace what could control a terminal by spaces."""
    return "".join(char if char.isprintable() else " " for char in text)
