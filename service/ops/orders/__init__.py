"""Orders: a search box with qualifiers, and a tab for each state."""

from dataclasses import replace
from datetime import UTC, datetime

from flask import Blueprint, redirect, request, url_for
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as AnyResponse

from pushes.access.principals import Principal
from pushes.model import State
from pushes.read import overview
from pushes.read.cursors import CursorError
from pushes.read.search import find, query
from pushes.read.search.find import Found
from pushes.read.search.query import Query, QueryError
from service import access, deps
from service.ops.page import PAGE_SIZE, chosen_account, known_accounts, render

blueprint = Blueprint("orders", __name__, url_prefix="/orders")


@blueprint.get("/")
def page() -> AnyResponse:
    """List the orders that are looked for; a text that one order has leads to that order."""
    who, ledger, now = access.principal(), deps.current().ledger, datetime.now(UTC)
    typed = request.args.get("q", "").strip()
    account, error = chosen_account(who), None
    wanted, listed = Query(), Found((), None)
    try:
        wanted = _narrowed(query.parse(typed, now), who, account)
        cursor = request.args.get("cursor") or None
        listed = find.page(ledger, wanted, now, limit=PAGE_SIZE, cursor=cursor)
    except QueryError as problem:
        error = problem
    except CursorError as problem:
        raise BadRequest("The list was asked for in a way that no page gives.") from problem
    if wanted.text and len(listed.items) == 1:
        key = listed.items[0].key
        return redirect(url_for("ops.order.page", account=key.account, order_id=key.order_id))
    return render(
        "orders/orders.html",
        typed=typed,
        error=error,
        wanted=wanted,
        listed=listed,
        counts=overview.counts(ledger, now) if who.accounts is None else {},
        account=account,
        accounts=known_accounts(who),
    )


def _narrowed(wanted: Query, who: Principal, account: str | None) -> Query:
    """Narrow what was typed to the tab, the account that was chosen, and those that are theirs."""
    word = request.args.get("state") or None
    try:
        state = State.of(word) if word else None
    except ValueError as error:
        raise BadRequest(f"A state is one of {', '.join(State)}.") from error
    return replace(
        wanted,
        state=wanted.state or state,
        account=wanted.account or account,
        accounts=None if who.accounts is None else frozenset(who.accounts),
    )
