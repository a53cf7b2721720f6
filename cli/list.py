"""`klarna-ack list`: the pushes in one state, a page at a time. Changes nothing.

No page walks a whole index: of one account's orders among all others it may show few, or none.
"""

from datetime import UTC, datetime

import click

from cli import output
from cli.arguments import options
from cli.context import opened
from cli.output.listing import listing, order_cells
from pushes.model import State
from pushes.read import views
from pushes.read.cursors import CursorError
from pushes.read.search import find
from pushes.read.search.query import Query

_COLUMNS = (
    *("order_id", "account", "reason", "since", "deadline_at", "next_attempt_at", "minor_units"),
    "last_error",
)


@click.command("list")
@click.option(
    "--state",
    type=click.Choice([str(state) for state in State]),
    required=True,
    help="The state they are in.",
)
@options.account
@options.page
@options.as_json
def list_(
    state: str, account: str | None, limit: int, cursor: str | None, *, as_json: bool
) -> None:
    """List the pushes in one state.

    Those that wait come first by their deadline, dead letters by their death, and what is settled
    with the latest first. Without --account those of all accounts are listed. One page is --limit
    long at most; it may be short of that, and says where the list goes on.
    """
    wanted, now = Query(state=State.of(state), account=account), datetime.now(UTC)
    with opened() as context:
        if account is not None:
            context.choose_account(account)
        try:
            page = find.page(context.ledger, wanted, now, limit=limit, cursor=cursor)
        except CursorError as error:
            raise click.UsageError(str(error)) from error
        total = None if as_json else find.count(context.redis, wanted)
    items = [views.in_state(push, now) for push in page.items]
    if as_json:
        output.emit_json({"items": items, "next_cursor": page.next_cursor})
        return
    lines = [_cells(item) for item in items]
    output.emit(
        *listing(
            lines,
            _COLUMNS,
            prose="last_error",
            next_cursor=page.next_cursor,
            nothing=f"No push is {state}." if page.next_cursor is None else "None so far.",
            total=total,
        )
    )


def _cells(item: views.StateLineView) -> dict[str, output.Cell]:
    return {
        **order_cells(item),
        "since": item["since"],
        "deadline_at": item["deadline_at"],
        "next_attempt_at": item["next_attempt_at"],
    }
