"""`klarna-ack dead list`: the dead letters, a page at a time. Changes nothing."""

from datetime import UTC, datetime

import click

from cli import output
from cli.arguments import options
from cli.context import opened
from cli.dead.selection import read_page
from pushes.read import views

# A page is read in one answer; more would hold up Redis for everybody.
_MOST = 10_000

_COLUMNS = ("order_id", "account", "died_at", "reason", "last_error")


@click.command("list")
@options.dead_letter_filters
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
def list_(  # noqa: PLR0913 - one parameter an option
    *,
    reason: str | None,
    since: datetime | None,
    until: datetime | None,
    account: str | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """List dead letters, the longest dead first.

    `klarna-ack show ORDER_ID` tells more about one, and what to do next. Without --account those
    of all accounts are listed.
    """
    wanted = options.make_filter(reason, account, since, until)
    with opened() as context:
        if account is not None:
            context.choose_account(account)
        page = read_page(context.redis, wanted, limit=limit, cursor=cursor)
    now = datetime.now(UTC)
    items = [views.dead_letter(push, now) for push in page.items]
    if as_json:
        output.emit_json({"items": items, "next_cursor": page.next_cursor})
    else:
        output.emit(*_blocks(items, page.next_cursor))


def _blocks(items: list[views.DeadLetterView], next_cursor: str | None) -> list[output.Block]:
    shown: list[output.Block] = []
    if items:
        rows = [[_cell(item, name) for name in _COLUMNS] for item in items]
        shown.append(output.Table(_COLUMNS, rows))
    else:
        shown.append("No dead letters match.")
    if next_cursor:
        shown.append(f"There are more: --cursor {next_cursor}")
    return shown


def _cell(item: views.DeadLetterView, name: str) -> str | None:
    value = dict(item)[name]
    return None if value is None else str(value)
