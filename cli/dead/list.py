"""`klarna-ack dead list`: the dead letters, a page at a time. Changes nothing."""

from datetime import UTC, datetime

import click

from cli import output
from cli.arguments import options
from cli.context import opened
from cli.dead.selection import read_page
from cli.output.listing import listing, order_cells
from pushes.read import dead_letters, views

_COLUMNS = ("order_id", "account", "died_at", "reason", "minor_units", "last_error")


@click.command("list")
@options.dead_letter_filters
@options.account
@options.page
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
        total = None if as_json else dead_letters.count(context.redis, wanted)
    now = datetime.now(UTC)
    items = [views.dead_letter(push, now) for push in page.items]
    if as_json:
        output.emit_json({"items": items, "next_cursor": page.next_cursor})
    else:
        lines = [{**order_cells(item), "died_at": item["died_at"]} for item in items]
        output.emit(
            *listing(
                lines,
                _COLUMNS,
                prose="last_error",
                next_cursor=page.next_cursor,
                nothing="No dead letters match.",
                total=total,
            )
        )
