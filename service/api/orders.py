"""Orders: finding them, all about one, and what an operator does to one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from flask import Blueprint, Response, jsonify
from werkzeug.exceptions import NotFound

from pushes.model import Push, PushKey
from pushes.operate import batch
from pushes.operate import push as as_if_pushed
from pushes.operate import replay as dead_letter
from pushes.operate import retry as waiting
from pushes.operate.batch import Operator
from pushes.operate.step import WrongStateError
from pushes.read import views
from pushes.read.search import find
from pushes.read.search import query as queries
from pushes.read.search.query import QueryError
from pushes.store import records
from pushes.store.ledger import Ledger
from service import access, deps
from service.api import gate
from service.api.document import answers, tree
from service.api.gate import InvalidError
from service.api.schemas import (
    Because,
    OneOrder,
    OrderPage,
    OrdersQuery,
    OrderState,
    PerhapsBecause,
)

blueprint = Blueprint("orders", __name__, url_prefix="/orders")

_Act = Callable[..., Push]


@blueprint.get("")
@tree.validate(resp=answers(OrderPage, 422))
def search(query: OrdersQuery) -> Response:
    """Find orders by a text and qualifiers; without any, list all by urgency."""
    now = datetime.now(UTC)
    try:
        wanted = replace(queries.parse(query.q, now), accounts=gate.accounts())
    except QueryError as error:
        raise InvalidError(f"q, from {error.start} to {error.end}: {error}") from error
    page = find.page(deps.current().ledger, wanted, now, limit=query.limit, cursor=query.cursor)
    return jsonify(
        items=[views.in_state(push, now) for push in page.items], next_cursor=page.next_cursor
    )


@blueprint.get("/<account>/<order_id>")
@tree.validate(resp=answers(OneOrder, 404))
def show(account: str, order_id: str) -> Response:
    """Tell everything about one order, with its timeline."""
    key, redis = access.key_of(account, order_id.lower()), deps.current().ledger.redis
    push = records.get(redis, key)
    if push is None:
        raise NotFound(f"No push is known for order {key.order_id} in account {account!r}.")
    return jsonify(views.full(push, records.timeline(redis, key), datetime.now(UTC)))


@blueprint.post("/<account>/<order_id>/push")
@tree.validate(resp=answers(OrderState, 404, 422))
def push(account: str, order_id: str, json: PerhapsBecause) -> Response:
    """Queue an order as if Klarna had pushed it; one in hand already is only counted."""
    if account not in deps.current().settings.tokens:
        raise NotFound(f"There is no account {account[:40]!r} that you may see.")

    def act(ledger: Ledger, key: PushKey, *, by: str, why: str | None, now: datetime) -> Push:
        del why  # it stands in the audit, as that of the terminal does
        return as_if_pushed.push(ledger, key, by=by, now=now)

    return _act(account, order_id, "push", act, json.why)


@blueprint.post("/<account>/<order_id>/replay")
@tree.validate(resp=answers(OrderState, 404, 409, 422))
def replay(account: str, order_id: str, json: Because) -> Response:
    """Give a dead letter fresh attempts; a discarded one, too."""
    return _act(account, order_id, "replay", dead_letter.replay, json.why)


@blueprint.post("/<account>/<order_id>/discard")
@tree.validate(resp=answers(OrderState, 404, 409, 422))
def discard(account: str, order_id: str, json: Because) -> Response:
    """Put a dead letter away; later pushes of it do not revive it."""
    return _act(account, order_id, "discard", dead_letter.discard, json.why)


@blueprint.post("/<account>/<order_id>/retry")
@tree.validate(resp=answers(OrderState, 404, 409, 422))
def retry(account: str, order_id: str, json: Because) -> Response:
    """Try an order now that waits for its next attempt."""
    return _act(account, order_id, "retry", waiting.retry, json.why)


def _act(account: str, order_id: str, action: str, act: _Act, why: str | None) -> Response:
    key, ledger, who = (
        access.key_of(account, order_id.lower()),
        deps.current().ledger,
        access.principal(),
    )
    now = datetime.now(UTC)
    (done,) = batch.run(
        ledger.redis,
        [key],
        lambda key: act(ledger, key, by=who.name, why=why, now=now),
        Operator(who.name, action, why),
    )
    if done.push is None:
        raise WrongStateError(done.refused)
    return jsonify(views.brief(done.push))
