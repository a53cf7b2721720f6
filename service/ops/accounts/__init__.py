"""Accounts: served or held, why and since when; pause and resume."""

from datetime import UTC, datetime

from flask import Blueprint, Response, redirect, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from pushes.operate import hold
from pushes.read import overview
from service import access, deps
from service.ops.page import reason, render, say

blueprint = Blueprint("accounts", __name__, url_prefix="/accounts")


@blueprint.get("/")
def page() -> Response:
    """List the accounts, those that somebody should look at first."""
    who = access.principal()
    seen = deps.current().recent.read()
    standings = {name: it for name, it in seen.standings.items() if who.sees(name)}
    first = sorted(
        standings,
        key=lambda name: (
            not (standings[name].hold or standings[name].unserved_since),
            not standings[name].pause,
            name,
        ),
    )
    return render("accounts/accounts.html", seen=seen, standings=standings, names=first)


@blueprint.post("/<account>/pause")
def pause(account: str) -> AnyResponse:
    """Hold an account until somebody resumes it."""
    name, redis = _check(account), deps.current().ledger.redis
    hold.pause(redis, name, by=access.principal().name, why=reason())
    say(f"{name} is paused: its orders wait. Pushes are accepted.")
    return redirect(url_for("ops.accounts.page"))


@blueprint.post("/<account>/resume")
def resume(account: str) -> AnyResponse:
    """Serve an account again."""
    name, redis = _check(account), deps.current().ledger.redis
    ended = hold.resume(redis, name, by=access.principal().name, why=reason())
    if ended.hold or ended.pause:
        say(f"{name} is served again.")
    else:
        say(f"{name} is neither held nor paused. Nothing was changed.", "bad")
    return redirect(url_for("ops.accounts.page"))


def _check(account: str) -> str:
    """Return the account. Raises NotFound for one that nobody knows, or that is not theirs."""
    who, found = access.principal(), deps.current()
    known = overview.read(
        found.ledger, datetime.now(UTC), found.settings.tokens, in_detail=False
    ).standings
    if account not in known or not who.sees(account):
        raise NotFound(f"There is no account {account[:40]!r} that you may see.")
    return account
