"""Signing in, by password or a one-time link, and signing out. Attempts are limited."""

import re

from flask import Blueprint, Response, redirect, request, session, url_for
from werkzeug.exceptions import TooManyRequests
from werkzeug.wrappers import Response as AnyResponse

from pushes import log
from pushes.access import sessions, users
from pushes.access.principals import AccessNameError, UserRole, check_name
from pushes.access.users import ConsoleUser
from service import access, deps
from service.ops.page import render, say
from service.ops.sign_in.attempts import Attempts

blueprint = Blueprint("sign_in", __name__)

_log = log.get(__name__)

# Where somebody wanted to go: a page of the console, and nothing that leads elsewhere.
_OURS = re.compile(r"/ops/[A-Za-z0-9/_?=&%.:~+-]*")


@blueprint.get("/sign-in")
@access.public
def form() -> AnyResponse:
    """Ask for name and password."""
    if access.by_page(deps.current()):
        return redirect(_wanted())
    if not users.are_there_any(deps.current().ledger.redis):
        return redirect(url_for("ops.sign_in.closed"))
    return render("sign_in/sign_in.html", next=_wanted())


@blueprint.post("/sign-in")
@access.public
def sign_in() -> AnyResponse:
    """Begin a session, or say that name and password do not fit, never which."""
    found = deps.current()
    redis, attempts = found.ledger.redis, Attempts(found.ledger.redis)
    name, address = _name(), request.remote_addr or "unknown"
    if not attempts.is_allowed(name, address):
        _log.warning(
            "console.sign_in_limited",
            address=address,
            meaning="more sign-in attempts than a person makes; they are not looked at",
            action="nothing when it was one of you; else let only your own network reach /ops",
        )
        raise TooManyRequests(
            "There were too many attempts for this name or from this address. Wait five minutes, or"
            " use a one-time link: `klarna-ack user link NAME` in the terminal prints one."
        )
    user = users.authenticate(redis, name, request.form.get("password", ""))
    if user is None:
        _log.info("console.sign_in_refused")
        answer = render(
            "sign_in/sign_in.html", next=_wanted(), failed=True, name=request.form.get("name", "")
        )
        answer.status_code = 401
        return answer
    attempts.forget(name)
    return _begin(user, _wanted())


@blueprint.get("/link")
@access.public
def link() -> Response:
    """Ask whether to use a one-time link: whoever only looks at it does not use it up."""
    word = request.args.get("code", "")
    user = sessions.peek_link(deps.current().ledger.redis, word)
    answer = render("sign_in/link.html", user=user, word=word)
    answer.status_code = 200 if user else 410
    return answer


@blueprint.post("/link")
@access.public
def use_link() -> AnyResponse:
    """Begin a session by a one-time link."""
    user = sessions.use_link(deps.current().ledger.redis, request.form.get("code", ""))
    if user is None:
        answer = render("sign_in/link.html", user=None)
        answer.status_code = 410
        return answer
    return _begin(user, url_for("ops.overview.page"))


@blueprint.post("/sign-out")
@access.needs(UserRole.VIEWER)
def sign_out() -> AnyResponse:
    """End the session here and in Redis."""
    name = session.get(access.SESSION)
    if isinstance(name, str):
        sessions.end(deps.current().ledger.redis, name)
    session.clear()
    say("You are signed out.")
    return redirect(url_for("ops.sign_in.form"))


@blueprint.get("/closed")
@access.public
def closed() -> AnyResponse:
    """Say how to make the first admin."""
    if users.are_there_any(deps.current().ledger.redis):
        return redirect(url_for("ops.sign_in.form"))
    return render("sign_in/closed.html")


def _begin(user: ConsoleUser, wanted: str) -> AnyResponse:
    session.clear()  # and with it the form's token: whoever set a cookie before knows nothing now
    session[access.SESSION] = sessions.begin(deps.current().ledger.redis, user)
    _log.info("console.signed_in", user=user.principal.name)
    return redirect(wanted)


def _name() -> str:
    """Return the name, or one that nobody can have."""
    try:
        return check_name(request.form.get("name", ""))
    except AccessNameError:
        return ""


def _wanted() -> str:
    wanted = request.values.get("next", "")
    return wanted if _OURS.fullmatch(wanted) else url_for("ops.overview.page")
