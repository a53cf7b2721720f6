"""`klarna-ack audit`: what operators did. Changes nothing."""

from math import inf

import click

from cli import output
from cli.arguments import options
from cli.context import opened
from cli.output.listing import listing
from pushes.read import audit as trail
from pushes.read.audit import AuditView

_COLUMNS = ("at", "by", "action", "account", "orders", "result", "why", "detail")


@click.command()
@options.account
@options.page
@options.as_json
def audit(account: str | None, limit: int, cursor: str | None, *, as_json: bool) -> None:
    """List what operators did, the newest first.

    It tells who, when, what, why, and to how many orders of which account.

    What is done to several orders has an entry when it begins and one when it ends. The timeline
    of an order, in `klarna-ack show`, says what was done to it.
    """
    with opened() as context:
        try:
            found = trail.newest_first(
                context.redis, limit=limit, account=account, before=cursor, look_at_most=inf
            )
        except trail.AuditPlaceError as error:
            raise click.UsageError(
                f"cursor {cursor!r:.60}: use the next_cursor of the page before, unchanged"
            ) from error
    items, next_cursor = [trail.view(line) for line in found.lines], found.next_place
    if as_json:
        output.emit_json({"items": items, "next_cursor": next_cursor})
    else:
        shown = [_cells(item) for item in items]
        nothing = "Nothing was done yet."
        prose = "detail" if any(item["detail"] for item in items) else "why"
        output.emit(
            *listing(shown, _COLUMNS, prose=prose, next_cursor=next_cursor, nothing=nothing)
        )


def _cells(item: AuditView) -> dict[str, output.Cell]:
    result = item["result"] or "cannot be read"
    if item["refused"]:
        result = f"{result}, {item['refused']} refused"
    return {
        "at": item["at"],
        "by": item["by"],
        "action": item["action"],
        "account": item["account"],
        "orders": item["order_id"] or item["orders"],
        "result": result,
        "why": item["why"],
        "detail": item["detail"],
    }
