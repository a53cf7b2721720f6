"""What the console says when something is wrong: what happened, and what to do. Always a page."""

from flask import Blueprint
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.wrappers import Response

from pushes import log
from pushes.store.server.durability import fault_of
from pushes.store.server.replicas import NotReplicatedError
from service import access, changes
from service.ops.page import render

_log = log.get(__name__)

_TITLES = {
    400: "That cannot be done like this",
    401: "You are not signed in",
    403: "You may not do this",
    404: "There is no such page",
    405: "That cannot be done like this",
    429: "Too many attempts",
}


def register(console: Blueprint) -> None:
    """Answer every failure as a page, and an unknown address, too."""
    console.register_error_handler(HTTPException, _http_error)
    console.register_error_handler(RedisError, _redis_away)
    console.register_error_handler(Exception, _unexpected)
    console.add_url_rule("/<path:_rest>", "unknown", _unknown)


@access.public
def _unknown(_rest: str) -> Response:
    raise NotFound("The address may be mistyped, or the order may belong to another account.")


def _http_error(error: HTTPException) -> Response:
    if error.response is not None:  # a redirect to the address with a slash
        return error.response  # type: ignore[return-value]  # werkzeug's sansio response
    status = error.code or 500
    answer = render(
        "layout/failure.html",
        status=status,
        title=_TITLES.get(status, error.name),
        detail=error.description,
    )
    answer.status_code = status
    return answer


def _redis_away(error: RedisError) -> Response:
    fault = fault_of(error)
    _log.warning(
        "console.redis_away",
        error=type(error).__name__,
        detail=str(error)[:200],
        meaning="a page of the console was answered 503; accepted pushes are safe in Redis",
        action=f"{fault.remedy}; the console serves again by itself",
    )
    if isinstance(error, NotReplicatedError):
        return _unavailable("It is done, but not on enough replicas", changes.NOT_SAFE)
    return _unavailable(
        "Redis does not answer",
        f"{fault.seen[0].upper()}{fault.seen[1:]}. {fault.remedy[0].upper()}{fault.remedy[1:]}."
        " Accepted pushes are safe; those that come meanwhile are answered 503, and Klarna sends"
        " them again.",
    )


def _unexpected(error: Exception) -> Response:
    _log.error(
        "console.failed_here",
        error=type(error).__name__,
        meaning="a page of the console was answered 503; pushes are not touched by that",
        action="report this with the traceback",
        exc_info=error,
    )
    return _unavailable(
        "The console failed", "This is a fault here. The log of the web process has more."
    )


def _unavailable(title: str, detail: str) -> Response:
    answer = render("layout/failure.html", status=503, title=title, detail=detail, bare=True)
    answer.status_code = 503
    answer.headers["Retry-After"] = "5"
    return answer
