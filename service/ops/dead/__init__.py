"""Dead letters: grouped by what they died of, then one by one, with what to do."""

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as AnyResponse

from pushes.model import PushKey, Reason
from pushes.operate import replay
from pushes.read import dead_letters, explain
from pushes.read.cursors import CursorError
from pushes.read.dead_letters import Filter
from pushes.store import keys
from service import deps
from service.ops import gate
from service.ops.order import do
from service.ops.page import PAGE_SIZE, chosen_account, known_accounts, render, say

blueprint = Blueprint("dead", __name__, url_prefix="/dead")

_ACTS = {"replay": replay.replay, "discard": replay.discard}


@blueprint.get("/")
def page() -> Response:
    """List the dead letters that match."""
    who, redis = gate.principal(), deps.current().ledger.redis
    account = chosen_account(who)
    reason = _reason()
    wanted = Filter(reason, account)
    try:
        listed = dead_letters.page(
            redis, wanted, limit=PAGE_SIZE, cursor=request.args.get("cursor") or None
        )
    except CursorError as error:
        raise BadRequest("The list was asked for in a way that no page gives.") from error
    counts = {each: dead_letters.count(redis, Filter(each, account)) for each in Reason}
    return render(
        "dead/dead.html",
        listed=listed,
        reason=reason,
        account=account,
        accounts=known_accounts(who),
        total=sum(counts.values()),
        groups=[
            (each, explain.REASONS[each], count)
            for each, count in sorted(counts.items(), key=lambda pair: -pair[1])
            if count
        ],
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
    done = len(steps) - len(refused)
    if done:
        say(f"{done} {'letter was' if done == 1 else 'letters were'} {verb}ed.")
    for sentence in refused[:3]:
        say(sentence, "bad")
    return redirect(
        url_for(
            "ops.dead.page",
            reason=request.args.get("reason") or None,
            account=request.args.get("account") or None,
        )
    )


def _reason() -> Reason | None:
    word = request.args.get("reason")
    try:
        return Reason.of(word) if word else None
    except ValueError as error:
        raise BadRequest(f"A reason is one of {', '.join(Reason)}.") from error


def _key(text: str) -> PushKey:
    try:
        key = keys.parse_job_id(text)
    except ValueError as error:
        raise BadRequest("This names no letter. Nothing was changed.") from error
    if not gate.principal().sees(key.account):
        raise BadRequest("A letter belongs to an account that you may not see.")
    return key
