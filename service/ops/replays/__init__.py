"""Replays: many dead letters at once, after a look at how many they are; running ones and past.

Workers go through a run: it survives a restart of any process, and can be paused and cancelled.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response as AnyResponse

from pushes.operate.runs import steer
from pushes.operate.runs.steer import RunRefusedError, RunRequest
from pushes.read import runs
from pushes.read.cursors import CursorError
from pushes.read.runs import BulkRun, RunAction
from service import access, deps
from service.ops.dead import selection
from service.ops.page import PAGE_SIZE, reason, render, say

blueprint = Blueprint("replays", __name__, url_prefix="/replays")

# What may be asked for here; a discard is undone from its own page.
_ACTIONS = (RunAction.REPLAY, RunAction.DISCARD)

_MOST_A_SECOND = 1000
_MOST_ORDERS = 10_000_000

_STEER: dict[str, Callable[..., BulkRun]] = {
    "pause": steer.pause,
    "resume": steer.resume,
    "cancel": steer.cancel,
    "undo": steer.undo,
}


@blueprint.get("/")
def page() -> Response:
    """List the runs, the latest first."""
    redis = deps.current().ledger.redis
    try:
        listed = runs.page(redis, limit=PAGE_SIZE, cursor=request.args.get("cursor") or None)
    except CursorError as error:
        raise BadRequest("The list was asked for in a way that no page gives.") from error
    shown = [run for run in listed.items if access.may_see(run)]
    return render(
        "replays/replays.html",
        listed=[(run, runs.view(run)) for run in shown],
        next_cursor=listed.next_cursor,
        any_running=any(not run.state.is_over for run in shown),
    )


@blueprint.get("/new")
def new() -> Response:
    """Show what a run would be about, before it is started."""
    chosen, action = selection.read(), _action(request.args.get("act", ""))
    preview = steer.preview(deps.current().ledger.redis, chosen.wanted)
    return render("replays/new.html", chosen=chosen, action=action, preview=preview)


@blueprint.post("/new")
def start() -> AnyResponse:
    """Start a run over all that match now."""
    chosen, action, redis = (
        selection.read(),
        _action(request.args.get("act", "")),
        deps.current().ledger.redis,
    )
    order = RunRequest(
        action,
        access.principal().name,
        reason(),
        rate_per_s=_number("rate", _MOST_A_SECOND),
        limit=_number("limit", _MOST_ORDERS),
    )
    run = steer.start(redis, order, chosen.wanted, datetime.now(UTC))
    return redirect(url_for("ops.replays.one", run_id=run.id))


@blueprint.get("/<run_id>/")
def one(run_id: str) -> Response:
    """Show how far a run is, and what came of it."""
    run = _find(run_id)
    return render("replays/one.html", run=run, view=runs.view(run))


@blueprint.post("/<run_id>/<turn>")
def turn(run_id: str, turn: str) -> AnyResponse:
    """Pause, resume, cancel or undo a run."""
    run = _find(run_id)
    if turn not in _STEER:
        raise NotFound
    redis, by, now = deps.current().ledger.redis, access.principal().name, datetime.now(UTC)
    try:
        run = _STEER[turn](redis, run.id, by=by, why=reason(), now=now)
    except RunRefusedError as error:
        say(str(error), "bad")
    return redirect(url_for("ops.replays.one", run_id=run.id))


def _find(run_id: str) -> BulkRun:
    """Return a run. Raises NotFound for none, and for one over accounts that are not theirs."""
    run = runs.get(deps.current().ledger.redis, run_id)
    if run is None or not access.may_see(run):
        raise NotFound("There is no such run. They are kept for some days after their end.")
    return run


def _action(word: str) -> RunAction:
    if word not in _ACTIONS:
        raise BadRequest("Dead letters are replayed or discarded. Nothing was changed.")
    return RunAction(word)


def _number(name: str, most: int) -> int | None:
    """Return a whole number of the form; None when it is left out. Raises BadRequest."""
    text = request.form.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise BadRequest(f"“{name}” is a whole number from 1 to {most:,}. Nothing was changed.")
    return int(text)
