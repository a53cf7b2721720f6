"""How everything is, and who asks."""

from hashlib import sha256

from flask import Blueprint, Response, json, jsonify
from werkzeug.exceptions import Forbidden

from pushes.accounts import clock
from pushes.read import overview
from pushes.read.lately import series
from pushes.read.overview import StatusView
from pushes.read.unreadable import Unreadable
from pushes.read.workers import entries
from service import access, deps
from service.api.document import answers, tree
from service.api.schemas import Me, OneSeries, SeriesQuery, Status, WorkerList

blueprint = Blueprint("overview", __name__)


@blueprint.get("/me")
@tree.validate(resp=answers(Me))
def me() -> Response:
    """Say whose token it is, and what it may do."""
    who = access.principal()
    limit = None if who.accounts is None else list(who.accounts)
    return jsonify(name=who.name, role=str(who.role), accounts=limit)


@blueprint.get("/status")
@tree.validate(resp=answers(Status))
def status() -> Response:
    """Tell how everything is: states, what runs out of time, accounts, workers, alarms.

    The ETag does not change with the time alone.
    """
    view = seen()
    answer = jsonify(view)
    steady = {name: fact for name, fact in view.items() if name != "read_at"}
    answer.set_etag(sha256(json.dumps(steady, sort_keys=True).encode()).hexdigest()[:32])
    return answer


@blueprint.get("/series")
@tree.validate(resp=answers(OneSeries, 422))
def one_series(query: SeriesQuery) -> Response:
    """Tell of the last hour, day or week, in steps: pushes, acknowledgements and how soon, calls.

    It is over all accounts, and so for tokens that are limited to none.
    """
    if access.principal().accounts is not None:
        raise Forbidden("This is over all accounts; your token is limited to some.")
    redis, unreadable = deps.current().ledger.redis, Unreadable()
    found = series.read(redis, query.range, clock.read(redis), unreadable)
    return jsonify(series.view(found, unreadable))


@blueprint.get("/workers")
@tree.validate(resp=answers(WorkerList))
def every_worker() -> Response:
    """List the workers that are alive; of the accounts they serve, those that who asks may see."""
    who, unreadable = access.principal(), Unreadable()
    items = entries.views(deps.current().ledger.redis, unreadable)
    for item in items:
        if item["accounts"] is not None:
            item["accounts"] = [name for name in item["accounts"] if who.sees(name)]
    return jsonify(items=items, unreadable=unreadable.sentences)


def seen() -> StatusView:
    """Return how everything is, or was a moment ago; of the accounts, those they may see."""
    view = overview.status(deps.current().recent.read())
    who = access.principal()
    view["accounts"] = {name: it for name, it in view["accounts"].items() if who.sees(name)}
    view["refused"] = [
        it for it in view["refused"] if who.accounts is None or it["account"] in who.accounts
    ]
    return view
