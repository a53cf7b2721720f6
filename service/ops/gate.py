"""Who may pass: the right host, a known user, a form that is ours, and a role that may do it.

Closed by default: a view is open only when it says so, and every POST needs an operator unless it
says otherwise.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, current_app, g, redirect, request, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask.wrappers import Request
from flask_wtf.csrf import CSRFError, CSRFProtect  # type: ignore[import-untyped]
from redis.exceptions import RedisError
from werkzeug.exceptions import BadRequest, Forbidden, Unauthorized
from werkzeug.wrappers import Response

from pushes.access import sessions, users
from service import access, deps

_csrf = CSRFProtect()


class ConsoleSessions(SecureCookieSessionInterface):
    """Flask's signed cookie, for the console alone: a push has no session."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie; the secret is read with it, so that deleting it ends every session."""
        if not request.path.startswith("/ops/"):
            return None
        try:
            app.secret_key = sessions.signing_secret(deps.of(app).ledger.redis)
        except RedisError:  # the gate meets it again, where it is answered
            return None
        return super().open_session(app, request)


def register(app: Flask, console: Blueprint) -> None:
    """Stand before every view of the console."""
    url = deps.of(app).settings.ops_url
    app.config.update(
        SESSION_COOKIE_NAME="klarna_ack_ops",
        SESSION_COOKIE_PATH="/ops",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=url is not None and url.scheme == "https",
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,  # for as long as the session
    )
    app.session_interface = ConsoleSessions()
    _csrf.init_app(app)
    console.before_request(_check)


def _check() -> Response | None:
    """Let a request pass, or answer it."""
    access.check_host()
    if request.endpoint == "ops.static":
        return None
    found = deps.current()
    g.principal = access.by_page(found)
    view = current_app.view_functions[request.endpoint or ""]
    if not access.is_public(view) and (answer := _admit(view)):
        return answer
    try:
        _csrf.protect()
    except CSRFError as error:
        raise BadRequest(
            "The form was not one of this session: it may be old. Go back, load the page again and"
            " repeat what you did. Nothing was changed."
        ) from error
    return None


def _admit(view: Callable[..., Any]) -> Response | None:
    if g.principal is None:
        if not users.are_there_any(deps.current().ledger.redis):
            return redirect(url_for("ops.sign_in.closed"))
        if request.method != "GET":
            raise Unauthorized("Your session has ended. Nothing was changed.")
        return redirect(url_for("ops.sign_in.form", next=request.full_path.rstrip("?")))
    who, role = access.principal(), access.role_for(view)
    if not who.may(role):
        raise Forbidden(
            f"You are {who.name}, a {who.role}. This needs the role {role}, which"
            " an admin of this machine gives in the terminal. Nothing was changed."
        )
    return None
