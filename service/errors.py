"""Every refusal as RFC 9457 `application/problem+json`: what is wrong, and the remedy.

Bad input is never a 5xx, and our own trouble is never a 4xx: Klarna re-sends after a 503.
"""

import json

from flask import Flask, Response
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException

from pushes import log
from pushes.store.server.durability import fault_of

_log = log.get(__name__)

# Klarna's own next try comes in minutes; this is for proxies and for whoever tests by hand.
RETRY_AFTER_S = 5

_REMEDIES = {
    404: "Check the path, the account and the token in the push URL.",
    405: "Klarna pushes with POST.",
    413: "A push has an empty body; send at most 64 KiB.",
}


def problem(status: int, title: str, detail: str) -> Response:
    """Make an answer that says what is wrong and what to do about it."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(json.dumps(body), status, mimetype="application/problem+json")


def register(app: Flask) -> None:
    """Answer every error of `app` as a problem document."""
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(RedisError, _redis_away)
    app.register_error_handler(Exception, _unexpected)


def not_stored(error: RedisError) -> Response:
    """Answer a push that Redis did not take: not received, send it again."""
    _log.error(
        "push.not_stored",
        error=type(error).__name__,
        detail=str(error)[:200],
        meaning="the push was answered 503 and is not lost: Klarna re-sends it",
        action=f"{fault_of(error).remedy}; the web process serves again by itself",
    )
    return _unavailable("The push could not be stored. Send it again.")


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    answer = problem(status, error.name, _REMEDIES.get(status) or error.description or error.name)
    answer.headers.extend(
        (name, value) for name, value in error.get_headers() if name in {"Allow", "Retry-After"}
    )
    return answer


def _redis_away(error: RedisError) -> Response:
    fault = fault_of(error)
    _log.error(
        "redis.away",
        error=type(error).__name__,
        detail=str(error)[:200],
        meaning="nothing could be read; accepted pushes are safe in Redis",
        action=f"{fault.remedy}; the web process serves again by itself",
    )
    return _unavailable(f"{fault.seen}: {fault.remedy}.")


def _unexpected(error: Exception) -> Response:
    _log.error(
        "request.failed_here",
        error=type(error).__name__,
        meaning="the request was answered 503; a push is not lost: Klarna re-sends it",
        action="report this with the traceback",
        exc_info=error,
    )
    return _unavailable("The request failed because of a fault here. Send it again.")


def _unavailable(detail: str) -> Response:
    answer = problem(503, "Service Unavailable", detail)
    answer.headers["Retry-After"] = str(RETRY_AFTER_S)
    return answer
