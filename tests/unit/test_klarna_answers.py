"""Status, body and operation → the class: the whole table, then anything at all."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from klarna import (
    CreatedCapture,
    Exchange,
    KlarnaError,
    MisconfigurationCause,
    MisconfigurationError,
    NoSuchOrderError,
    NotAllowedError,
    Operation,
    PermanentError,
    RateLimitedError,
    RejectedError,
    TransientError,
)
from klarna.answers import (
    MAX_BODY_BYTES,
    Answer,
    read_acceptance,
    read_capture,
    read_order,
    read_order_details,
)

GET, ACKNOWLEDGE = Operation.GET_ORDER, Operation.ACKNOWLEDGE
EACH = tuple(Operation)
WRITES = tuple(each for each in Operation if each.is_write)
NOW = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
ORDER = b'{"order_id": "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", "status": "AUTHORIZED"}'
HTML = b"<html>\r\n<head><title>401 Authorization Required</title></head>\r\n</html>\r\n"


def said(code: str, *messages: str) -> bytes:
    return json.dumps({"error_code": code, "error_messages": messages}).encode()


def answer(operation: Operation, status: int, body: bytes = b"", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(operation, status, CaseInsensitiveDict(named), body, 12, NOW)


def outcome(an_answer: Answer) -> Exchange:
    """Read the answer as its operation does; the exchange of a success."""
    read = read_order if an_answer.operation is GET else read_acceptance
    return read(an_answer)[1]


def error_of(an_answer: Answer) -> KlarnaError:
    with pytest.raises(KlarnaError) as caught:
        outcome(an_answer)
    return caught.value


def test_it_returns_the_order_of_a_200() -> None:
    order, exchange = read_order(answer(GET, 200, ORDER, klarna_correlation_id="c-1"))
    assert (order.order_id, order.status) == ("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", "AUTHORIZED")
    assert exchange == Exchange(GET, 200, 12, error_code=None, correlation_id="c-1", error=None)


def test_it_names_the_field_of_an_order_it_cannot_read_whole() -> None:
    body = ORDER[:-1] + b', "order_lines": [{"name": "a"}]}'
    with pytest.raises(TransientError) as caught:
        read_order_details(answer(GET, 200, body))
    assert str(caught.value) == "unreadable answer: order_lines.0.quantity: Field required"
    assert read_order(answer(GET, 200, body))[0].status == "AUTHORIZED"


@pytest.mark.parametrize(
    ("headers", "capture"),
    [
        (
            {"capture_id": "c-1", "location": "http://k/captures/c-2"},
            ("c-1", "http://k/captures/c-2"),
        ),
        ({"location": "http://k/captures/c-2"}, ("c-2", "http://k/captures/c-2")),
        ({}, (None, None)),
    ],
)
def test_it_reads_which_capture_was_made(
    headers: dict[str, str], capture: tuple[str | None, str | None]
) -> None:
    made, exchange = read_capture(answer(Operation.CAPTURE, 201, b"", **headers))
    assert made == CreatedCapture(*capture)
    assert exchange == Exchange(Operation.CAPTURE, 201, 12)


@pytest.mark.parametrize(
    ("status", "body"), [(204, b""), (200, b""), (201, b"{}"), (202, b" \r\n"), (200, b'{"a": 1}')]
)
def test_it_takes_any_2xx_without_an_error_code_for_an_acceptance(status: int, body: bytes) -> None:
    assert outcome(answer(ACKNOWLEDGE, status, body)) == Exchange(ACKNOWLEDGE, status, 12)


@pytest.mark.parametrize("operation", EACH)
@pytest.mark.parametrize(
    "body",
    [
        HTML,
        b"[]",
        b'"AUTHORIZED"',
        ORDER[:40],
        ORDER.decode().encode("utf-16-le")[1:],
        b"\xff\xfe\xfd",
        b"\x1f\x8b\x08\x00",
        b"[" * 100_000,
        b'{"padding": "' + b"x" * MAX_BODY_BYTES + b'"}',
        said("INTERNAL_SERVER_ERROR"),
        b'{"error_code": 500}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_it_calls_a_2xx_it_cannot_read_transient(operation: Operation, body: bytes) -> None:
    error = error_of(answer(operation, 200, body))
    assert type(error) is TransientError
    assert error.exchange is not None
    assert error.exchange.http_status == 200
    assert str(error.exchange.error).startswith("unreadable answer: ")


def test_it_reads_an_order_whose_amount_has_thousands_of_digits() -> None:
    body = ORDER[:-1] + b', "order_amount": ' + b"9" * 5_000 + b', "captured_amount": 7}'
    order, _ = read_order(answer(GET, 200, body))
    assert (order.status, order.order_amount, order.captured_amount) == ("AUTHORIZED", None, 7)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"order_id": null, "status": "AUTHORIZED"}'])
def test_it_calls_an_order_without_its_fields_transient(body: bytes) -> None:
    assert type(error_of(answer(GET, 200, body))) is TransientError


TABLE: list[tuple[int, bytes, tuple[Operation, ...], type[KlarnaError]]] = [
    (100, b"", EACH, TransientError),
    (400, said("INVALID_ORDER_ID"), EACH, RejectedError),
    (400, HTML, EACH, RejectedError),
    (402, b"", EACH, RejectedError),
    (403, said("NOT_ALLOWED"), WRITES, NotAllowedError),
    (403, said("NOT_ALLOWED")[:20], WRITES, NotAllowedError),
    (403, b'{"error_message": "no"}', WRITES, NotAllowedError),
    (404, said("NO_SUCH_ORDER"), EACH, NoSuchOrderError),
    (404, said("NO_SUCH_ORDER")[:20], EACH, NoSuchOrderError),
    (404, b"\xef\xbb\xbf {}", EACH, NoSuchOrderError),
    (404, b"[]", EACH, NoSuchOrderError),
    (404, b"", EACH, NoSuchOrderError),
    (404, b"\r\n", EACH, NoSuchOrderError),
    (405, b"", EACH, RejectedError),
    (408, b"", EACH, TransientError),
    (409, said("CONFLICT"), EACH, TransientError),
    (409, b"", EACH, TransientError),
    (410, b"", EACH, RejectedError),
    (413, said("REQUEST_TOO_LARGE"), EACH, RejectedError),
    (422, said("UNPROCESSABLE"), EACH, RejectedError),
    (425, HTML, EACH, TransientError),
    (429, said("TOO_MANY_REQUESTS"), EACH, RateLimitedError),
    (429, HTML, EACH, RateLimitedError),
    (499, b"", EACH, RejectedError),
    (500, said("INTERNAL_SERVER_ERROR"), EACH, TransientError),
    (500, HTML, EACH, TransientError),
    (502, b"", EACH, TransientError),
    (503, said("TEMPORARILY_UNAVAILABLE"), EACH, TransientError),
    (504, b"\xff", EACH, TransientError),
    (520, b"error code: 520", EACH, TransientError),
    (999, b"", EACH, TransientError),
]


@pytest.mark.parametrize(
    ("operation", "status", "body", "expected"),
    [(operation, *row, cls) for *row, operations, cls in TABLE for operation in operations],
)
def test_it_decides_by_the_class(
    operation: Operation, status: int, body: bytes, expected: type[KlarnaError]
) -> None:
    error = error_of(answer(operation, status, body))
    assert type(error) is expected
    assert error.exchange is not None
    assert (error.exchange.operation, error.exchange.http_status) == (operation, status)
    assert error.exchange.error


FAULTS: list[tuple[int, bytes, tuple[Operation, ...], MisconfigurationCause]] = [
    (301, b"", EACH, MisconfigurationCause.REDIRECTED),
    (302, HTML, EACH, MisconfigurationCause.REDIRECTED),
    (304, b"", EACH, MisconfigurationCause.REDIRECTED),
    (308, said("MOVED"), EACH, MisconfigurationCause.REDIRECTED),
    (401, HTML, EACH, MisconfigurationCause.WRONG_CREDENTIALS),
    (401, said("UNAUTHORIZED"), EACH, MisconfigurationCause.WRONG_CREDENTIALS),
    (401, b"", EACH, MisconfigurationCause.WRONG_CREDENTIALS),
    (403, said("NOT_ALLOWED"), (GET,), MisconfigurationCause.FORBIDDEN),
    (403, HTML, EACH, MisconfigurationCause.FORBIDDEN),
    (403, b"", EACH, MisconfigurationCause.FORBIDDEN),
    (404, HTML, EACH, MisconfigurationCause.NOT_AN_API),
    (404, b"not found", EACH, MisconfigurationCause.NOT_AN_API),
]


@pytest.mark.parametrize(
    ("operation", "status", "body", "cause"),
    [(operation, *row, cause) for *row, operations, cause in FAULTS for operation in operations],
)
def test_it_blames_the_configuration(
    operation: Operation, status: int, body: bytes, cause: MisconfigurationCause
) -> None:
    error = error_of(answer(operation, status, body))
    assert isinstance(error, MisconfigurationError)
    assert (error.cause, str(error)) == (cause, cause.sentence)
    assert error.exchange is not None
    assert error.exchange.http_status == status


@pytest.mark.parametrize(
    ("value", "pause_s"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Tue, 06 May 2031 07:08:39 GMT", 30.0),
        ("Tue, 06 May 2031 07:08:39 -0000", 30.0),
        ("Tue, 06 May 2031 07:00:00 GMT", 0.0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("9" * 400, None),
        ("\N{ARABIC-INDIC DIGIT FIVE}", None),
        ("Tue, 99 May 2031 07:08:39 GMT", None),
    ],
)
def test_it_reads_retry_after(value: str, pause_s: float | None) -> None:
    error = error_of(answer(GET, 429, b"", retry_after=value))
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_s == pause_s


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"ratelimit_reset": "3"}, 3.0),
        ({"x_ratelimit_reset": "4"}, 4.0),
        ({"retry_after": "1", "ratelimit_reset": "3"}, 1.0),
        ({"retry_after": "soon", "ratelimit_reset": "3"}, 3.0),
        ({"x_ratelimit_reset": str(int(NOW.timestamp()) + 40)}, 40.0),
        ({"x_ratelimit_reset": str(int(NOW.timestamp()) - 40)}, 0.0),
        ({"ratelimit_reset": "soon"}, None),
    ],
)
def test_it_reads_when_the_limit_is_reset(headers: dict[str, str], pause_s: float | None) -> None:
    error = error_of(answer(GET, 429, b"", **headers))
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_s == pause_s


def test_it_waits_without_a_number_when_klarna_names_none() -> None:
    error = error_of(answer(ACKNOWLEDGE, 429))
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_s is None


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"error_messages": ["Update not allowed."]}, "Update not allowed."),
        ({"error_messages": ["One.", 2, "Three."]}, "One.; Three."),
        ({"error_messages": "plain"}, "plain"),
        ({"error_message": "singular"}, "singular"),
        ({"error_messages": [], "error_message": "singular"}, "singular"),
        ({"error_messages": []}, "HTTP 500"),
        ({"error_messages": {"odd": 1}}, "HTTP 500"),
        ({"error_code": "CONFLICT"}, "HTTP 500 CONFLICT"),
        ({}, "HTTP 500"),
        ({"error_message": "line\nbreak"}, "line\ufffdbreak"),
        ({"error_message": "x" * 300}, "x" * 200),
    ],
)
def test_it_keeps_klarnas_words_short(document: dict[str, Any], text: str) -> None:
    exchange = error_of(answer(GET, 500, json.dumps(document).encode())).exchange
    assert exchange is not None
    assert exchange.error == text


@pytest.mark.parametrize(
    ("header", "in_body", "kept"),
    [
        ("from-header", "from-body", "from-header"),
        ("", "from-body", "from-body"),
        ("", "95ccbcb1-8963-4569-b721-1a354", "95ccbcb1-8963-4569-b721-1a354"),
        ("", "c" * 70, "c" * 64),
        ("h" * 70, None, "h" * 64),
        ("", 7, None),
        ("", None, None),
    ],
)
def test_it_keeps_the_correlation_id(header: str, in_body: object, kept: str | None) -> None:
    body = json.dumps({"error_code": "NO_SUCH_ORDER", "correlation_id": in_body}).encode()
    error = error_of(answer(ACKNOWLEDGE, 404, body, klarna_correlation_id=header))
    assert error.exchange == Exchange(
        ACKNOWLEDGE, 404, 12, "NO_SUCH_ORDER", kept, "HTTP 404 NO_SUCH_ORDER"
    )
    assert error.correlation_id == kept


def test_it_never_keeps_a_body() -> None:
    error = error_of(answer(GET, 500, b"<p>ada@example.com</p>"))
    assert "ada" not in f"{error} {error.exchange}"


@given(
    operation=st.sampled_from(Operation),
    status=st.integers(100, 999),
    body=st.binary()
    | st.dictionaries(
        st.sampled_from(["order_id", "status", "error_code", "error_messages", "correlation_id"]),
        st.none() | st.text() | st.integers() | st.lists(st.text()),
    ).map(lambda document: json.dumps(document).encode()),
    headers=st.dictionaries(
        st.sampled_from(["retry_after", "klarna_correlation_id", "content_type"]), st.text()
    ),
)
@example(Operation.GET_ORDER, 429, b"", {"retry_after": "Mon, 1 Jan 99999999999 00:00:00 GMT"})
def test_it_raises_nothing_but_its_own_errors(
    operation: Operation, status: int, body: bytes, headers: dict[str, str]
) -> None:
    try:
        exchange: Exchange | None = outcome(answer(operation, status, body, **headers))
        assert 200 <= status < 300
        assert exchange is not None
        assert exchange.error is None
    except (TransientError, RateLimitedError, MisconfigurationError, PermanentError) as error:
        exchange = error.exchange
        assert exchange is not None
        assert exchange.error
        assert exchange.error.isprintable()
        assert len(exchange.error) <= 200
    assert exchange.http_status == status
