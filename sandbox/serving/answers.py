"""What an HTTP answer is, and the answers Klarna is known to give. Decides and sends nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

JSON = "application/json"
HTML = "text/html"

#: The error code Klarna gives with a status where it names one (doc).
ERROR_CODES: Mapping[int, str] = {
    400: "INVALID_ORDER_ID",
    403: "NOT_ALLOWED",
    404: "NO_SUCH_ORDER",
    409: "CONFLICT",
    413: "REQUEST_TOO_LARGE",
    422: "UNPROCESSABLE_ENTITY",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_SERVER_ERROR",
    502: "TEMPORARILY_UNAVAILABLE",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "TEMPORARILY_UNAVAILABLE",
}


#: What Klarna says with a status where it always says the same (doc).
ERROR_MESSAGES: Mapping[int, list[str]] = {
    409: [],
    413: ["Request is too large"],
    429: ["Too many requests"],
    500: ["Unexpected server error"],
    502: ["Temporarily unavailable"],
    503: ["Temporarily unavailable"],
    504: ["Temporarily unavailable"],
}


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """A status, its headers and its body.

    `body` None means neither Content-Length nor Content-Type, as Klarna's 204 (rec). `correlated`
    is whether `Klarna-Correlation-Id` goes with it: an answer from the gateway has none (rec).
    """

    status: int
    body: bytes | None = None
    content_type: str | None = JSON
    headers: tuple[tuple[str, str], ...] = ()
    correlated: bool = True


def json_answer(status: int, content: object) -> ApiAnswer:
    """Answer with compact JSON."""
    return ApiAnswer(status, json.dumps(content, separators=(",", ":")).encode())


def klarna_error(
    status: int, message: str | None, correlation_id: str, code: str | None = None
) -> ApiAnswer:
    """Answer with a JSON error of Klarna's shape (doc, rec).

    `code` defaults to the status's; so does `message`, where Klarna always says the same.
    """
    messages = ERROR_MESSAGES.get(status, []) if message is None else [message]
    return json_answer(
        status,
        {
            "error_code": code or ERROR_CODES.get(status, "UNEXPECTED_ERROR"),
            "error_messages": messages,
            "correlation_id": correlation_id,
        },
    )


def too_many_requests(correlation_id: str, retry_after_s: float | None) -> ApiAnswer:
    """429 (doc). The `Retry-After` is assumed: None leaves it out."""
    answer = klarna_error(429, None, correlation_id)
    if retry_after_s is None:
        return answer
    return ApiAnswer(429, answer.body, headers=(("Retry-After", f"{retry_after_s:g}"),))


def gateway_page(status: int, *headers: tuple[str, str], phrase: str | None = None) -> ApiAnswer:
    """Answer as the gateway before Klarna: HTML, no JSON, no correlation id (rec for the 401)."""
    title = f"{status} {phrase or HTTPStatus(status).phrase}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>sandbox</center>\r\n</body>\r\n</html>\r\n"
    )
    return ApiAnswer(status, page.encode(), HTML, headers, correlated=False)


def unauthorized_page() -> ApiAnswer:
    """401 for wrong credentials, and for those of another region or environment (rec)."""
    challenge = ("WWW-Authenticate", 'Basic realm="sandbox"')
    return gateway_page(401, challenge, phrase="Authorization Required")
