"""What an answer of Klarna means: the order, an accepted write, or the error that decides. Pure.

Life is messier than the contract: bodies are HTML, empty, truncated or no UTF-8; `error_code` may
be missing and `error_messages` may be a singular `error_message`. Nothing here raises anything but
`KlarnaError`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from pydantic import ValidationError

from klarna.calls import Exchange, Operation, one_line
from klarna.documents import OrderDetails
from klarna.errors import (
    KlarnaError,
    MisconfigurationCause,
    MisconfigurationError,
    NoSuchOrderError,
    NotAllowedError,
    PermanentError,
    RateLimitedError,
    RejectedError,
    TransientError,
)
from klarna.orders import Order, parse_order

# An order is some 10 kB; one with the thousand lines that Klarna allows stays below this.
MAX_BODY_BYTES: Final = 1024 * 1024

_SHORTEST_SECRET = 8
_LOCATION_CHARS = 1024
_CORRELATION_ID_CHARS = 64  # a UUID is 36; Klarna's own samples are sometimes cut
_ERROR_CODE_CHARS = 64  # the longest documented one has 23
_ERROR_CHARS = 200  # enough to recognise the message; it may quote what we sent


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer; `headers` look names up without regard to case.

    `body` may be longer than `MAX_BODY_BYTES`: then there was more, and nobody read it all.
    """

    operation: Operation
    status: int
    headers: Mapping[str, str]
    body: bytes | bytearray
    elapsed_ms: int
    received_at: datetime

    @property
    def is_empty(self) -> bool:
        """Whether there is no body, or nothing in it."""
        return not self.body or self.body.isspace()

    @property
    def speaks_json(self) -> bool:
        """Tell an API's answer from a web server's page, by the first byte.

        Not by Content-Type, which may be missing, nor by whether it parses: a truncated error is
        still an API's error.
        """
        return bool(re.match(rb"(?:\xef\xbb\xbf)?\s*[\[{]", self.body))


@dataclass(frozen=True, slots=True)
class CreatedCapture:
    """A capture that Klarna made, by its headers; None when it did not send one."""

    capture_id: str | None
    location: str | None


def without(secrets: Sequence[str], answer: Answer) -> Answer:
    """Return a refusal without our secrets, which a proxy or Klarna may repeat in its words.

    One of fewer than 8 characters is none that Klarna gives out, and stands in many words.
    """
    if answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return answer
    body = answer.body
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            for written in (secret, json.dumps(secret)[1:-1]):
                body = body.replace(written.encode(), b"***")
    return answer if body is answer.body else replace(answer, body=body)


def read_order(answer: Answer) -> tuple[Order, Exchange]:
    """Return the order in a successful answer; raises `KlarnaError` for every other one."""
    document, exchange = _read(answer)
    try:
        return parse_order(document), exchange
    except ValueError as error:
        raise _unreadable(exchange, str(error)) from error


def read_order_details(answer: Answer) -> tuple[OrderDetails, Exchange]:
    """Return the whole order in a successful answer; raises `KlarnaError` for every other one."""
    document, exchange = _read(answer)
    try:
        return OrderDetails.model_validate(document), exchange
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise _unreadable(exchange, one_line(f"{where}: {first['msg']}", _ERROR_CHARS)) from error


def read_capture(answer: Answer) -> tuple[CreatedCapture, Exchange]:
    """Return the capture that Klarna made; raises `KlarnaError` when it made none."""
    _, exchange = _read(answer)
    location = _line(answer.headers.get("Location"), _LOCATION_CHARS)
    capture_id = answer.headers.get("Capture-Id") or (location or "").rpartition("/")[2]
    return CreatedCapture(_line(capture_id, _CORRELATION_ID_CHARS), location), exchange


def read_acceptance(answer: Answer) -> tuple[None, Exchange]:
    """Return when Klarna accepted a write; raises `KlarnaError` when it did not."""
    _, exchange = _read(answer)
    return None, exchange


def _read(answer: Answer) -> tuple[dict[str, object], Exchange]:
    document = _document(answer)
    exchange = _exchange(answer, document or {})
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise _refusal(answer, exchange, _messages(document or {}))
    if document is None and not answer.is_empty:
        raise _unreadable(exchange, "the body is no JSON object")
    if document and document.get("error_code"):
        raise _unreadable(exchange, "success that carries an error code")
    return document or {}, exchange


def _document(answer: Answer) -> dict[str, object] | None:
    """Return the JSON object in the body, None when there is none we can read."""
    if answer.is_empty or len(answer.body) > MAX_BODY_BYTES:
        return None
    for parse_int in (None, _integer):  # the second look, which is slower, is hardly ever needed
        try:
            document = json.loads(answer.body, parse_int=parse_int)
        except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
            continue
        return document if isinstance(document, dict) else None
    return None


def _integer(digits: str) -> int | None:
    """Return the number, None for one of thousands of digits, which Python refuses to read."""
    try:
        return int(digits)
    except ValueError:
        return None


def _exchange(answer: Answer, document: dict[str, object]) -> Exchange:
    """Return the trace of the call; the header's correlation id wins over the body's."""
    correlation_id = answer.headers.get("Klarna-Correlation-Id") or document.get("correlation_id")
    return Exchange(
        operation=answer.operation,
        http_status=answer.status,
        elapsed_ms=answer.elapsed_ms,
        error_code=_line(document.get("error_code"), _ERROR_CODE_CHARS),
        correlation_id=_line(correlation_id, _CORRELATION_ID_CHARS),
        date=answer.headers.get("Date"),
    )


def _messages(document: dict[str, object]) -> str:
    """Return Klarna's messages as one text; the field is plural, singular, or missing."""
    messages = document.get("error_messages") or document.get("error_message")
    listed = messages if isinstance(messages, list) else [messages]
    text = "; ".join(message for message in listed if isinstance(message, str))
    return one_line(text, _ERROR_CHARS)


def _line(value: object, limit: int) -> str | None:
    return one_line(value, limit) if isinstance(value, str) and value else None


def _unreadable(exchange: Exchange, why: str) -> TransientError:
    error = f"unreadable answer: {why}"
    return TransientError(error, exchange=replace(exchange, error=error))


def _refusal(answer: Answer, exchange: Exchange, messages: str) -> KlarnaError:
    """Return the error for an answer that is no success, with the exchange made complete."""
    summary = " ".join(filter(None, (f"HTTP {answer.status}", exchange.error_code, messages)))
    if cause := _misconfiguration(answer):
        exchange = replace(exchange, error=messages or cause.value)
        return MisconfigurationError(cause, exchange=exchange)
    exchange = replace(exchange, error=messages or summary)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitedError(_retry_after_s(answer), exchange=exchange)
    return _class_of(answer.status)(summary, exchange=exchange)


def _misconfiguration(answer: Answer) -> MisconfigurationCause | None:
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return MisconfigurationCause.WRONG_CREDENTIALS
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        return MisconfigurationCause.REDIRECTED
    if answer.status == HTTPStatus.FORBIDDEN:
        about_the_order = answer.operation.is_write and answer.speaks_json
        return None if about_the_order else MisconfigurationCause.FORBIDDEN
    if answer.status == HTTPStatus.NOT_FOUND:
        from_an_api = answer.speaks_json or answer.is_empty
        return None if from_an_api else MisconfigurationCause.NOT_AN_API
    return None


def _class_of(status: int) -> type[TransientError | PermanentError]:
    special: dict[int, type[TransientError | PermanentError]] = {
        HTTPStatus.FORBIDDEN: NotAllowedError,
        HTTPStatus.NOT_FOUND: NoSuchOrderError,
        HTTPStatus.REQUEST_TIMEOUT: TransientError,
        HTTPStatus.CONFLICT: TransientError,
        HTTPStatus.TOO_EARLY: TransientError,
    }
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return special.get(status, RejectedError)
    return TransientError


def _retry_after_s(answer: Answer) -> float | None:
    """Read how long to pause: Retry-After, else when the limit is reset; None for nonsense.

    Source: RFC 9110, 10.2.3, and the IETF draft "RateLimit header fields" with its forerunners.
    Klarna documents neither; gateways of its kind send one or the other.
    """
    named = ("Retry-After", "RateLimit-Reset", "X-RateLimit-Reset")
    return next(
        (pause_s for name in named if (pause_s := _pause_s(answer, name)) is not None), None
    )


def _pause_s(answer: Answer, name: str) -> float | None:
    """Read seconds, a date, or seconds since 1970, from one header."""
    value = answer.headers.get(name, "").strip()
    now_s = answer.received_at.timestamp()
    if re.fullmatch(r"[0-9]{10}", value) and float(value) > now_s / 2:
        return max(0.0, float(value) - now_s)
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (aware - answer.received_at).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
