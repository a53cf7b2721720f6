"""One order: what is known of it, every call, what happens next, and what may be done to it."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from flask import Blueprint, Response, redirect, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from pushes.log import trace
from pushes.model import Push, PushKey
from pushes.operate import batch, replay, retry
from pushes.operate.batch import Operator
from pushes.read import explain
from pushes.store import records
from pushes.store.ledger import Ledger
from service import access, deps
from service.ops.page import reason, render, say

blueprint = Blueprint("order", __name__, url_prefix="/orders/<account>/<order_id>")

_Act = Callable[..., Push]

_DONE = {
    "replay": "It is queued again with fresh attempts.",
    "discard": "It is discarded: it left the dead letters, and later pushes do not revive it.",
    "retry": "It is tried now.",
}


@blueprint.get("/")
def page(account: str, order_id: str) -> Response:
    """Show an order."""
    key, redis = _key(account, order_id), deps.current().ledger.redis
    push = records.get(redis, key)
    if push is None:
        raise NotFound(
            "No push is known for this order. Settled orders are kept for RETENTION_DAYS;"
            " `klarna-ack push` queues an order as if Klarna had pushed it."
        )
    timeline, now = records.timeline(redis, key), datetime.now(UTC)
    return render(
        "order/order.html",
        push=push,
        timeline=timeline,
        explanation=explain.why_dead(push),
        next=explain.what_next(push),
        trace_id=trace.trace_id(push),
        message=explain.support_message(push, timeline, now),
        needs_help=push.is_unacknowledged and push.last_error is not None,
    )


@blueprint.post("/replay")
def replay_it(account: str, order_id: str) -> AnyResponse:
    """Give a dead order fresh attempts."""
    return _do("replay", replay.replay, _key(account, order_id))


@blueprint.post("/discard")
def discard_it(account: str, order_id: str) -> AnyResponse:
    """Put a dead order away."""
    return _do("discard", replay.discard, _key(account, order_id))


@blueprint.post("/retry")
def retry_it(account: str, order_id: str) -> AnyResponse:
    """Try an order now that waits for its next attempt."""
    return _do("retry", retry.retry, _key(account, order_id))


def _do(verb: str, act: _Act, key: PushKey) -> AnyResponse:
    step = do(deps.current().ledger, verb, act, [key])[0]
    if step.refused:
        say(step.refused, "bad")
    else:
        say(_DONE[verb])
    return redirect(url_for("ops.order.page", account=key.account, order_id=key.order_id))


def do(ledger: Ledger, verb: str, act: _Act, wanted: list[PushKey]) -> list[batch.BatchStep]:
    """Do one thing to orders, for the reason that the form gives; audited."""
    why, by = reason(), access.principal().name
    one = partial(act, ledger, by=by, why=why, now=datetime.now(UTC))
    return list(batch.run(ledger.redis, wanted, one, Operator(by, verb, why)))


def _key(account: str, order_id: str) -> PushKey:
    return access.key_of(account, order_id)
