"""Accounts: served or held, why and since when; pause and resume."""

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as AnyResponse

from pushes.accounts import clock
from pushes.operate import hold
from pushes.read.lately import quota
from pushes.read.unreadable import Unreadable
from service import access, deps
from service.ops.page import PAGE_SIZE, neediest_first, reason, render, say

blueprint = Blueprint("accounts", __name__, url_prefix="/accounts")

# Of a number of accounts.
_LONGEST_CURSOR = 8


@blueprint.get("/")
def page() -> Response:
    """List the accounts, those that somebody should look at first."""
    who, part = access.principal(), request.args.get("name", "").strip().lower()
    seen = deps.current().recent.read(access.changed_at())
    standings = {name: it for name, it in seen.standings.items() if who.sees(name)}
    first = [name for name in neediest_first(standings) if part in name]
    start, redis = _start(), deps.current().ledger.redis
    names = first[start : start + PAGE_SIZE]
    return render(
        "accounts/accounts.html",
        seen=seen,
        standings=standings,
        names=names,
        quota=quota.read(redis, names, clock.read(redis), Unreadable()),
        count=len(first),
        part=part,
        next_cursor=start + PAGE_SIZE if len(first) > start + PAGE_SIZE else None,
        is_long=len(standings) > PAGE_SIZE,
    )


@blueprint.post("/<account>/pause")
def pause(account: str) -> AnyResponse:
    """Hold an account until somebody resumes it."""
    name, redis = access.check_known(account), deps.current().ledger.redis
    hold.pause(redis, name, by=access.principal().name, why=reason())
    say(f"{name} is paused: its orders wait. Pushes are accepted.")
    return redirect(url_for("ops.accounts.page"))


@blueprint.post("/<account>/resume")
def resume(account: str) -> AnyResponse:
    """Serve an account again."""
    name, redis = access.check_known(account), deps.current().ledger.redis
    ended = hold.resume(redis, name, by=access.principal().name, why=reason())
    if ended.hold or ended.pause:
        say(f"{name} is served again.")
    else:
        say(f"{name} is neither held nor paused. Nothing was changed.", "bad")
    return redirect(url_for("ops.accounts.page"))


def _start() -> int:
    """Return how many accounts stand on the pages before. Raises BadRequest."""
    cursor = request.args.get("cursor") or "0"
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < _LONGEST_CURSOR):
        raise BadRequest("The list was asked for in a way that no page gives.")
    return int(cursor)
