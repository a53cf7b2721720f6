"""Who may ask, and how a refusal is told: as a problem document, never as a page.

Closed by default: every call but that for the document needs a token, a GET the role viewer, a
POST the role operator, unless the view says otherwise.
"""

from flask import Blueprint, Response, current_app, g, request
from pydantic import ValidationError
from redis.exceptions import RedisError
from werkzeug.exceptions import (
    Forbidden,
    HTTPException,
    MethodNotAllowed,
    NotFound,
    Unauthorized,
)

from pushes import log
from pushes.operate.runs.steer import RunRefusedError
from pushes.operate.step import WrongStateError
from pushes.read.audit import AuditPlaceError
from pushes.read.cursors import CursorError
from pushes.store.server.durability import fault_of
from pushes.store.server.replicas import NotReplicatedError
from service import access, changes, deps
from service.errors import RETRY_AFTER_S, problem

_log = log.get(__name__)


def accounts() -> frozenset[str] | None:
    """Name the accounts that who asks is limited to; None for all."""
    limit = access.principal().accounts
    return None if limit is None else frozenset(limit)


def refuse_invalid(
    _request: object, _response: object, error: Exception | None, *_: object
) -> None:
    """Answer what does not fit its schema, field by field. As spectree calls it."""
    if not isinstance(error, ValidationError):
        return
    faults = [
        f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors()
    ]
    raise InvalidError("; ".join(faults))


class InvalidError(HTTPException):
    """A request whose parts do not fit their schema."""

    code = 422
    name = "Unprocessable Content"


def register(api: Blueprint) -> None:
    """Stand before every view of the API, and tell every failure."""
    api.before_request(_check)
    api.after_request(_tag)
    api.register_error_handler(HTTPException, _http_error)
    api.register_error_handler(RedisError, _redis_away)
    api.register_error_handler(Exception, _unexpected)
    for refused in (WrongStateError, RunRefusedError):
        api.register_error_handler(refused, _refused)
    for invalid in (CursorError, AuditPlaceError):
        api.register_error_handler(invalid, _invalid_cursor)
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    api.add_url_rule("/<path:_rest>", "unknown", _unknown, methods=methods)


def _check() -> None:
    access.check_host()
    view = current_app.view_functions[request.endpoint or ""]
    if access.is_public(view):
        return
    g.principal = access.by_token(deps.current())
    if g.principal is None:
        raise Unauthorized(
            "Send a token as `Authorization: Bearer TOKEN`; `klarna-ack token add` makes one."
        )
    who, role = access.principal(), access.role_for(view)
    if not who.may(role):
        raise Forbidden(f"This needs the role {role}; {who} has not got it.")


def _tag(response: Response) -> Response:
    """Give an answer an ETag, and make it 304 for who has it already."""
    response.headers["Cache-Control"] = "no-store" if response.status_code >= 400 else "no-cache"  # noqa: PLR2004 - HTTP's own number
    if request.method == "GET" and response.status_code == 200:  # noqa: PLR2004 - as above
        response.add_etag()
        response.make_conditional(request)
    return response


def _unknown(_rest: str) -> Response:
    raise NotFound("There is no such call. /ops/api/v1/openapi.json describes those there are.")


def _http_error(error: HTTPException) -> Response:
    answer = problem(error.code or 500, error.name, error.description or error.name)
    if isinstance(error, Unauthorized):
        answer.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        answer.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return answer


def _refused(error: Exception) -> Response:
    return problem(409, "Conflict", str(error))


def _invalid_cursor(error: Exception) -> Response:
    known = isinstance(error, CursorError)
    said = str(error) if known else f"cursor {error!s:.60}: use the next_cursor of the page before"
    return problem(422, "Unprocessable Content", said)


def _redis_away(error: RedisError) -> Response:
    fault = fault_of(error)
    _log.warning(
        "api.redis_away",
        error=type(error).__name__,
        detail=str(error)[:200],
        meaning="a call of the API was answered 503; accepted pushes are safe in Redis",
        action=f"{fault.remedy}; the API serves again by itself",
    )
    if isinstance(error, NotReplicatedError):
        return _unavailable(changes.NOT_SAFE)
    return _unavailable(f"{fault.seen}: {fault.remedy}.")


def _unexpected(error: Exception) -> Response:
    _log.error(
        "api.failed_here",
        error=type(error).__name__,
        meaning="a call of the API was answered 503; pushes are not touched by that",
        action="report this with the traceback",
        exc_info=error,
    )
    return _unavailable("This is a fault here. The log of the web process has more.")


def _unavailable(detail: str) -> Response:
    answer = problem(503, "Service Unavailable", detail)
    answer.headers["Retry-After"] = str(RETRY_AFTER_S)
    return answer
