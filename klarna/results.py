"""What a call came to: the order, an accepted write, or the right error. Pure."""

from dataclasses import replace
from http import HTTPStatus

from klarna.answers import Answer, document_of, exchange_of, messages_of
from klarna.errors import TransientError
from klarna.exchange import Exchange
from klarna.orders import Order, parse_order
from klarna.refusals import refusal_of


def read_order(answer: Answer) -> tuple[Order, Exchange]:
    """Return the order in a successful answer; raises `KlarnaError` for every other one."""
    document, exchange = _read(answer)
    try:
        return parse_order(document), exchange
    except ValueError as error:
        raise _unreadable(exchange, str(error)) from error


def read_acceptance(answer: Answer) -> tuple[None, Exchange]:
    """Return when Klarna accepted a write; raises `KlarnaError` when it did not."""
    _, exchange = _read(answer)
    return None, exchange


def _read(answer: Answer) -> tuple[dict[str, object], Exchange]:
    document = document_of(answer)
    exchange = exchange_of(answer, document or {})
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise refusal_of(answer, exchange, messages_of(document or {}))
    if document is None and not answer.is_empty:
        raise _unreadable(exchange, "the body is no JSON object")
    if document and document.get("error_code"):
        raise _unreadable(exchange, "success that carries an error code")
    return document or {}, exchange


def _unreadable(exchange: Exchange, why: str) -> TransientError:
    error = f"unreadable answer: {why}"
    return TransientError(error, exchange=replace(exchange, error=error))
