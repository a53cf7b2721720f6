"""Bulk runs: a look before, starting one, following it, steering it."""

from collections.abc import Callable
from datetime import UTC, datetime

from flask import Blueprint, Response, jsonify
from werkzeug.exceptions import NotFound

from pushes.access.principals import UserRole
from pushes.operate.runs import steer
from pushes.operate.runs.steer import RunRequest
from pushes.read import runs, views
from pushes.read.runs import BulkRun, RunAction
from service import access, deps
from service.api.dead_letters import as_filter
from service.api.document import answers, tree
from service.api.gate import InvalidError
from service.api.schemas import (
    Because,
    FilterQuery,
    OneRun,
    PageQuery,
    PerhapsBecause,
    RunList,
    RunPreview,
    RunStart,
)

blueprint = Blueprint("runs", __name__, url_prefix="/runs")


@blueprint.get("")
@tree.validate(resp=answers(RunList, 422))
def every(query: PageQuery) -> Response:
    """List the bulk runs of the last 30 days, the latest first."""
    page = runs.page(deps.current().ledger.redis, limit=query.limit, cursor=query.cursor)
    items = [runs.view(run) for run in page.items if access.may_see(run)]
    return jsonify(items=items, next_cursor=page.next_cursor)


@blueprint.post("")
@tree.validate(resp=answers(OneRun, 404, 422))
def start(json: RunStart) -> Response:
    """Start a bulk run over what a filter matches, or over selected orders."""
    if json.action is RunAction.RESTORE:
        raise InvalidError("action: undo the run that discarded, at /runs/RUN/undo")
    if (json.filter is None) == (json.orders is None):
        raise InvalidError("filter, orders: give one of them; an empty filter is every dead letter")
    redis, now = deps.current().ledger.redis, datetime.now(UTC)
    request = RunRequest(
        json.action, access.principal().name, json.why, json.rate_per_s, json.limit
    )
    if json.filter is not None:
        run = steer.start(redis, request, as_filter(json.filter), now)
    else:
        selected = [access.key_of(it.account, it.order_id.lower()) for it in json.orders or ()]
        run = steer.start_selected(redis, request, selected, now)
    return jsonify(runs.view(run))


@blueprint.post("/preview")
@access.needs(UserRole.VIEWER)
@tree.validate(resp=answers(RunPreview, 404, 422))
def preview(json: FilterQuery) -> Response:
    """Look what a run would be about: how many dead letters, and the longest dead of them."""
    now = datetime.now(UTC)
    seen = steer.preview(deps.current().ledger.redis, as_filter(json))
    sample = [views.dead_letter(push, now) for push in seen.sample]
    return jsonify(count=seen.count, sample=sample)


@blueprint.get("/<run_id>")
@tree.validate(resp=answers(OneRun, 404))
def show(run_id: str) -> Response:
    """Tell how far a run is, and what came of its orders."""
    return jsonify(runs.view(_known(run_id)))


@blueprint.post("/<run_id>/pause")
@tree.validate(resp=answers(OneRun, 404, 409, 422))
def pause(run_id: str, json: PerhapsBecause) -> Response:
    """Let a run wait."""
    return _steer(steer.pause, run_id, json.why)


@blueprint.post("/<run_id>/resume")
@tree.validate(resp=answers(OneRun, 404, 409, 422))
def resume(run_id: str, json: PerhapsBecause) -> Response:
    """Let a paused run go on."""
    return _steer(steer.resume, run_id, json.why)


@blueprint.post("/<run_id>/cancel")
@tree.validate(resp=answers(OneRun, 404, 409, 422))
def cancel(run_id: str, json: Because) -> Response:
    """End a run; what it has not reached stays as it is."""
    return _steer(steer.cancel, run_id, json.why)


@blueprint.post("/<run_id>/undo")
@tree.validate(resp=answers(OneRun, 404, 409, 422))
def undo(run_id: str, json: Because) -> Response:
    """Start a run that takes back what another one discarded, within a day."""
    return _steer(steer.undo, run_id, json.why)


def _steer(turn: Callable[..., BulkRun], run_id: str, why: str | None) -> Response:
    _known(run_id)
    redis, who = deps.current().ledger.redis, access.principal()
    run = turn(redis, run_id, by=who.name, why=why, now=datetime.now(UTC))
    return jsonify(runs.view(run))


def _known(run_id: str) -> BulkRun:
    run = runs.get(deps.current().ledger.redis, run_id)
    if run is None or not access.may_see(run):
        raise NotFound(f"There is no run {run_id[:40]!r} that you may see.")
    return run
