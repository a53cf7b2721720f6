"""`klarna-ack audit`: what operators did. Changes nothing."""

import click

from cli import output
from cli.arguments import options
from cli.context import opened
from pushes.read import audit as trail
from pushes.read.audit import AuditView

# A page is read in one go.
_MOST = 10_000


@click.command()
@options.account
@click.option(
    "--limit",
    type=click.IntRange(1, _MOST),
    default=50,
    show_default=True,
    help="How many at most.",
)
@click.option("--cursor", metavar="CURSOR", help="Go on where a page ended: its next_cursor.")
@options.as_json
def audit(account: str | None, limit: int, cursor: str | None, *, as_json: bool) -> None:
    """List what operators did, the newest first.

    It tells who, when, what, why, and to how many orders of which account.

    What is done to several orders has an entry when it begins and one when it ends. The timeline
    of an order, in `klarna-ack show`, says what was done to it.
    """
    with opened() as context:
        try:
            lines = trail.newest_first(
                context.redis, limit=limit + 1, account=account, before=cursor
            )
        except trail.AuditPlaceError as error:
            raise click.UsageError(
                f"cursor {cursor!r:.60}: use the next_cursor of the page before, unchanged"
            ) from error
    items = [trail.view(line) for line in lines[:limit]]
    next_cursor = lines[limit - 1].place if len(lines) > limit else None
    if as_json:
        output.emit_json({"items": items, "next_cursor": next_cursor})
    else:
        output.emit(*_blocks(items, next_cursor))


def _blocks(items: list[AuditView], next_cursor: str | None) -> list[output.Block]:
    columns = ("at", "by", "action", "account", "orders", "result", "why")
    shown: list[output.Block] = []
    if items:
        rows = [[_cell(item, name) for name in columns] for item in items]
        shown.append(output.Table(columns, rows))
    else:
        shown.append("Nothing was done yet.")
    if next_cursor:
        shown.append(f"There are more: --cursor {next_cursor}")
    return shown


def _cell(item: AuditView, name: str) -> output.Cell:
    if name == "result" and item["refused"]:
        return f"{item['result']}, {item['refused']} refused"
    if name == "result" and item["result"] is None:
        return "cannot be read"
    if name == "orders" and item["order_id"]:
        return item["order_id"]
    value = dict(item)[name]
    return value if value is None or isinstance(value, int) else str(value)
