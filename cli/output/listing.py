"""Lists, a page at a time: the columns that say something, and how to go on."""

from collections.abc import Mapping, Sequence

from cli.output.blocks import Block, Cell, Table, is_empty
from pushes.read.views import LineView


def listing(  # noqa: PLR0913 - the parts of a page
    items: Sequence[Mapping[str, Cell]],
    columns: Sequence[str],
    *,
    prose: str,
    next_cursor: str | None,
    nothing: str,
    total: int | None = None,
) -> list[Block]:
    """Lay a page out, without the columns that are empty in every line.

    `total` is how many there are on all pages; None when nobody has counted.
    """
    shown: list[Block] = []
    if items:
        said = [name for name in columns if not all(is_empty(item[name]) for item in items)]
        rows = [[item[name] for name in said] for item in items]
        shown.append(Table(said, rows, prose=prose, titles=2))
    else:
        shown.append(nothing)
    if next_cursor:
        in_all = "" if total is None else f" ({total:,} in all)"
        shown.append(f"There are more{in_all}: --cursor {next_cursor}")
    return shown


def order_cells(view: LineView) -> dict[str, Cell]:
    """Return what a list shows of an order: its id once, and its amount in minor units."""
    error, amount = view["last_error"], view["order_amount"]
    return {
        "order_id": view["order_id"],
        "account": view["account"],
        "reason": view["reason"],
        "minor_units": None if amount is None else f"{amount} {view['purchase_currency'] or ''}",
        "last_error": error and error.replace(view["order_id"], "…"),
    }
