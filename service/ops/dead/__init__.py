"""Dead letters: grouped by what they died of, then one by one, with what to do."""

from dataclasses import replace

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as AnyResponse

from pushes.model import PushKey
from pushes.operate import replay
from pushes.read import dead_letters, explain
from pushes.read.cursors import CursorError
from pushes.read.search import causes
from pushes.store import keys
from service import access, deps
from service.ops.dead import selection
from service.ops.order import do
from service.ops.page import PAGE_SIZE, known_accounts, render, say

blueprint = Blueprint("dead", __name__, url_prefix="/dead")

_ACTS = {"replay": replay.replay, "discard": replay.discard}

# Fewer than somebody reads; the others are behind their accounts and reasons.
_CAUSES_SHOWN = 12


@blueprint.get("/")
def page() -> Response:
    """Show the causes, and the dead letters that match."""
    who, redis, chosen = access.principal(), deps.current().ledger.redis, selection.read()
    everything = replace(chosen.wanted, reason=None, code=None, since=None, until=None)
    try:
        listed = dead_letters.page(
            redis, chosen.wanted, limit=PAGE_SIZE, cursor=request.args.get("cursor") or None
        )
    except CursorError as error:
        raise BadRequest("The list was asked for in a way that no page gives.") from error
    return render(
        "dead/dead.html",
        listed=listed,
        chosen=chosen,
        count=dead_letters.count(redis, chosen.wanted),
        total=dead_letters.count(redis, everything),
        groups=causes.page(
            redis, everything.takes_cause, accounts=everything.only_accounts, limit=_CAUSES_SHOWN
        ),
        explained=explain.REASONS,
        no_code=keys.NO_CODE,
        accounts=known_accounts(who),
    )


@blueprint.post("/")
def act() -> AnyResponse:
    """Replay or discard the letters that are ticked."""
    verb = request.form.get("act", "")
    if verb not in _ACTS:
        raise BadRequest("A dead letter is replayed or discarded. Nothing was changed.")
    wanted = [_key(text) for text in request.form.getlist("letter")]
    if not wanted:
        raise BadRequest("Tick the letters first. Nothing was changed.")
    steps = do(deps.current().ledger, verb, _ACTS[verb], wanted)
    refused = [step.refused for step in steps if step.refused]
    if done := len(steps) - len(refused):
        say(f"{done} {'letter was' if done == 1 else 'letters were'} {verb}ed.")
    for sentence in refused[:3]:
        say(sentence, "bad")
    return redirect(url_for("ops.dead.page", **selection.read().arguments))  # type: ignore[arg-type]  # None leaves an argument out


def _key(text: str) -> PushKey:
    try:
        key = keys.parse_job_id(text)
    except ValueError as error:
        raise BadRequest("This names no letter. Nothing was changed.") from error
    if not access.principal().sees(key.account):
        raise BadRequest("A letter belongs to an account that you may not see.")
    return key
