"""Tables and panels, for a terminal: as wide as it is, and no identifier broken in two.

A table whose columns do not fit beside each other is shown row by row.
"""

from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table as RichTable
from rich.text import Text

from cli.output.blocks import Block, Cell, Facts, Table, cell_text, is_empty, safe

# A column of prose is as wide as the identifiers in it at least: those have 36 characters.
_PROSE_WIDTH = 36

# Wider than any terminal: what a table needs is asked for as if it had all the room it wants.
_ENDLESS = 10_000

_INDENT = 2
_GAP = "  "

# Words that somebody looks for, in the columns that hold such words.
_COLOURED = {"severity", "held", "result"}
_STYLES = {
    **dict.fromkeys(("failed", "interrupted"), "bold red"),
    **dict.fromkeys(("warning", "outage", "merchant", "credentials", "operator"), "yellow"),
    "ok": "green",
}


def as_rich(*blocks: Block) -> Group:
    """Make what a terminal shows."""
    return Group(*map(_rich, blocks))


def as_compact(*blocks: Block) -> Group:
    """Make the same with little space in between, for a screen that must hold it all."""
    shown: list[RenderableType] = []
    for block in blocks:
        match block:
            case str():
                shown.append(Text(safe(block)))
            case Facts():
                shown += [Text.assemble((name, "bold"), "  ", value) for name, value in block.known]
            case Table():
                shown += [Text(), FittedTable(block, box_=None)]
    return Group(*shown)


class Fitted:
    """What fits on the screen, and a last line that says when there is more."""

    def __init__(self, shown: RenderableType, hint: str) -> None:
        self._shown = shown
        self._hint = hint

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._shown, options.update(height=None), pad=False)
        height = options.max_height
        if len(lines) > height:
            left = len(lines) - height + 1
            more = Text(f"… {left} more lines: {self._hint}", "reverse", no_wrap=True)
            lines = [*lines[: height - 1], *console.render_lines(more, options, pad=False)]
        for number, line in enumerate(lines):
            yield from [Segment.line()] * (number > 0)
            yield from line


def _rich(block: Block) -> RenderableType:
    match block:
        case str():
            return Text(safe(block))
        case Facts():
            grid = RichTable.grid(padding=(0, 2))
            for name, value in block.known:
                grid.add_row(Text(name, "bold"), Text(value))
            return Panel.fit(grid, title=Text(safe(block.title)))
        case Table():
            return FittedTable(block, box_=box.SIMPLE_HEAD)


class FittedTable:
    """A table that is shown row by row where its columns do not fit."""

    def __init__(self, table: Table, *, box_: box.Box | None) -> None:
        self._table = table
        self._box = box_

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self._table.rows:
            return
        columns = _columns(self._table, self._box)
        endless = options.update(max_width=_ENDLESS)
        if Measurement.get(console, endless, columns).minimum <= options.max_width:
            yield columns
        else:
            for row in self._table.rows:
                yield from _row(self._table, row, options.max_width)


def _columns(table: Table, box_: box.Box | None) -> RichTable:
    drawn = RichTable(box=box_, pad_edge=box_ is not None, collapse_padding=True)
    for header, column in zip(table.headers, zip(*table.rows, strict=True), strict=True):
        longest = max(cell_len(text) for text in (header, *map(cell_text, column)))
        if header == table.prose:
            drawn.add_column(header, overflow="fold", min_width=min(longest, _PROSE_WIDTH))
        else:
            drawn.add_column(header, no_wrap=True, min_width=longest)
    for row in table.rows:
        cells = zip(table.headers, row, strict=True)
        drawn.add_row(*(_styled(header, cell_text(cell)) for header, cell in cells))
    return drawn


def _row(table: Table, row: Sequence[Cell], width: int) -> Iterator[RenderableType]:
    """Lay out one row: its title, then the other cells with their names, prose last."""
    named = dict(zip(table.headers, row, strict=True))
    prose = named.pop(table.prose, None) if table.prose else None
    cells = [(name, cell) for name, cell in named.items() if not is_empty(cell)]
    title = [cell for name, cell in cells if name in table.headers[: table.titles]]
    yield Text(_GAP.join(map(cell_text, title)), "bold", overflow="fold")
    for line in _packed(cells[len(title) :], width - _INDENT):
        yield Padding(line, (0, 0, 0, _INDENT), expand=False)
    if not is_empty(prose):
        yield Padding(Text(cell_text(prose)), (0, 0, 0, _INDENT), expand=False)


def _packed(cells: Sequence[tuple[str, Cell]], width: int) -> Iterator[Text]:
    """Put cells with their names on as few lines as hold them whole."""
    line = Text(no_wrap=False)
    for name, cell in cells:
        shown = Text.assemble((name, "dim"), " ", _styled(name, cell_text(cell)))
        if line and line.cell_len + len(_GAP) + shown.cell_len > width:
            yield line
            line = Text()
        line = Text.assemble(line, _GAP if line else "", shown)
    if line:
        yield line


def _styled(header: str, text: str) -> Text:
    return Text(text, _STYLES.get(text, "") if header in _COLOURED else "")
