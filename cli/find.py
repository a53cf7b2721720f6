"""`klarna-ack find`: orders by reference, correlation id or qualifiers. Changes nothing."""

from dataclasses import replace
from datetime import UTC, datetime

import click

from cli import output
from cli.arguments import options
from cli.context import opened
from cli.output.listing import listing, order_cells
from pushes.read import views
from pushes.read.cursors import CursorError
from pushes.read.search import find as orders
from pushes.read.search import query
from pushes.read.search.query import QueryError

_COLUMNS = ("order_id", "account", "state", "since", "reason", "minor_units", "last_error")


@click.command()
@click.argument("text", nargs=-1, required=True)
@options.account
@options.page
@options.as_json
def find(
    *, text: tuple[str, ...], account: str | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    """Find orders by id, reference or correlation id.

    Klarna's reference and the merchant's are found as soon as Klarna has shown the order. Words
    such as state:dead reason:rejected account:NAME code:NOT_ALLOWED since:7d until:2026-03-01
    narrow it down, and are enough by themselves.
    """
    asked = " ".join(text)
    now = datetime.now(UTC)
    try:
        wanted = query.parse(asked, now)
    except QueryError as error:
        raise click.UsageError(_complain(asked, error)) from error
    with opened() as context:
        if account is not None:
            wanted = replace(wanted, account=context.choose_account(account))
        try:
            page = orders.page(context.ledger, wanted, now, limit=limit, cursor=cursor)
        except CursorError as error:
            raise click.UsageError(str(error)) from error
    items = [views.in_state(push, now) for push in page.items]
    if as_json:
        output.emit_json({"items": items, "next_cursor": page.next_cursor})
        return
    lines = [
        {**order_cells(item), "state": item["state"], "since": item["since"]} for item in items
    ]
    output.emit(
        *listing(
            lines,
            _COLUMNS,
            prose="last_error",
            next_cursor=page.next_cursor,
            nothing="No order matches." if page.next_cursor is None else "None so far.",
        )
    )


def _complain(asked: str, error: QueryError) -> str:
    place = asked[error.start : error.end].strip()
    return f"{error} Here: {place[:60]!r}." if place else str(error)
