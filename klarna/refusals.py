"""What it means when Klarna says no: the error whose class is the decision. Pure."""

import re
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from klarna.answers import Answer
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
from klarna.exchange import Exchange


def refusal_of(answer: Answer, exchange: Exchange, messages: str) -> KlarnaError:
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
        HTTPStatus.CONFLICT: TransientError,
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
