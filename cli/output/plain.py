"""Plain aligned text, for a pipe: every cell whole, a blank line between blocks."""

from collections.abc import Sequence

from cli.output.blocks import Block, Cell, Facts, Table, cell_text, safe


def as_text(*blocks: Block) -> str:
    """Write blocks as text."""
    return "\n\n".join(map(_text, blocks))


def _text(block: Block) -> str:
    match block:
        case str():
            return safe(block)
        case Facts():
            return "\n".join([safe(block.title), *_aligned(block.known)])
        case Table():
            return "\n".join(_aligned([block.headers, *block.rows]))


def _aligned(rows: Sequence[Sequence[Cell]]) -> list[str]:
    cells = [[cell_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
