"""Orders by state, a page at a time, and the way to any order by its id."""

from datetime import UTC, datetime

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as AnyResponse

from pushes.model import PushKey, State, is_order_id
from pushes.read import by_state, overview
from pushes.read.cursors import CursorError
from pushes.store import records
from service import deps
from service.ops import gate
from service.ops.page import PAGE_SIZE, chosen_account, known_accounts, render

blueprint = Blueprint("orders", __name__, url_prefix="/orders")


@blueprint.get("/")
def page() -> AnyResponse:
    """List the orders in one state; an order id in the search box leads to that order."""
    who, ledger = gate.principal(), deps.current().ledger
    wanted = request.args.get("q", "").strip()
    account = chosen_account(who)
    if wanted and (found := _find(wanted.lower())):
        return found
    try:
        state = State.of(request.args.get("state") or State.QUEUED)
    except ValueError as error:
        raise BadRequest(f"A state is one of {', '.join(State)}.") from error
    try:
        listed = by_state.page(
            ledger.redis,
            state,
            account=account,
            limit=PAGE_SIZE,
            cursor=request.args.get("cursor") or None,
        )
    except CursorError as error:
        raise BadRequest("The list was asked for in a way that no page gives.") from error
    return render(
        "orders/orders.html",
        state=state,
        counts=overview.counts(ledger, datetime.now(UTC)) if who.accounts is None else {},
        listed=listed,
        account=account,
        accounts=known_accounts(who),
        wanted=wanted,
    )


def _find(order_id: str) -> Response | AnyResponse | None:
    """Lead to the order of this id, when one of the accounts that may be seen knows it."""
    who, redis = gate.principal(), deps.current().ledger.redis
    if not is_order_id(order_id):
        return None
    wanted = [PushKey(name, order_id) for name in known_accounts(who)]
    for push in records.get_many(redis, wanted):
        if push is not None:
            address = url_for("ops.order.page", account=push.key.account, order_id=order_id)
            return redirect(address)
    return None
