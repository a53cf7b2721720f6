"""Who may pass: the right host, a known user, a form that is ours, and a role that may do it.

Closed by default: a view is open only when it says so, and every POST needs an operator unless it
says otherwise.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import Blueprint, Flask, current_app, g, redirect, request, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask.wrappers import Request
from flask_wtf.csrf import CSRFError, CSRFProtect  # type: ignore[import-untyped]
from redis.exceptions import RedisError
from werkzeug.exceptions import BadRequest, Forbidden, Unauthorized
from werkzeug.sansio.utils import host_is_trusted
from werkzeug.wrappers import Response

from pushes.access import sessions, users
from pushes.access.principals import Principal, UserRole
from service import access, deps

# Without OPS_URL the console is for whoever sits at the machine, or comes through a tunnel.
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")

_View = TypeVar("_View", bound=Callable[..., Any])
_csrf = CSRFProtect()


def public(view: _View) -> _View:
    """Mark a view as open to whoever is not signed in."""
    view.is_public = True  # type: ignore[attr-defined]  # a mark on a function
    return view


def needs(role: UserRole) -> Callable[[_View], _View]:
    """Mark what role a view needs; otherwise a GET needs a viewer, a POST an operator."""

    def mark(view: _View) -> _View:
        view.needs = role  # type: ignore[attr-defined]  # as above
        return view

    return mark


def principal() -> Principal:
    """Return who asks. Raises Unauthorized when nobody is signed in."""
    who = cast(Principal | None, g.get("principal"))
    if who is None:
        raise Unauthorized
    return who


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
    if not is_trusted_host():
        raise BadRequest("This is not the address of the console. OPS_URL says what is.")
    if request.endpoint == "ops.static":
        return None
    found = deps.current()
    g.principal = access.by_page(found)
    view = current_app.view_functions[request.endpoint or ""]
    if not getattr(view, "is_public", False) and (answer := _admit(view)):
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
    by_default = UserRole.VIEWER if request.method in {"GET", "HEAD"} else UserRole.OPERATOR
    role: UserRole = getattr(view, "needs", by_default)
    if not principal().may(role):
        raise Forbidden(
            f"You are {principal().name}, a {principal().role}. This needs the role {role}, which"
            " an admin of this machine gives in the terminal. Nothing was changed."
        )
    return None


def is_trusted_host() -> bool:
    """Whether the request is for the address that OPS_URL names, or for this machine."""
    return host_is_trusted(request.host, _hosts())


def _hosts() -> tuple[str, ...]:
    url = deps.current().settings.ops_url
    return (url.host or "",) if url else _LOCAL_HOSTS
