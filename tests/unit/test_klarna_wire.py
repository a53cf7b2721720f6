"""The bytes of requests, and which heads of answers are plain; http.client gives its opinion."""

import io
import socket
from http.client import HTTPResponse
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from klarna.wire import Head, plain_head, request_bytes

START = b"HTTP/1.1 200 OK\r\n"


def test_it_writes_a_request() -> None:
    headers = {"Host": "klarna.test", "Content-Length": "2"}
    assert request_bytes("POST", "/orders/1?a=b", headers, b"{}") == (
        b"POST /orders/1?a=b HTTP/1.1\r\nHost: klarna.test\r\nContent-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize("length", [{}, {"Content-Length": "0"}])
@pytest.mark.parametrize("body", [None, b""])
def test_it_writes_a_request_without_a_body(length: dict[str, str], body: bytes | None) -> None:
    assert request_bytes("GET", "/", length, body).endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET / HTTP/1.1\r\nX:", "/"),
        ("", "/"),
        ("GET", ""),
        ("GET", "/ HTTP/1.1\r\nX: y\r\n"),
        ("GET", "/a b"),
        ("GET", "/ö"),
        ("GET", "/\n"),
    ],
)
def test_it_refuses_a_request_line_of_several_parts(method: str, target: str) -> None:
    with pytest.raises(ValueError, match="method and target"):
        request_bytes(method, target, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "a\r\nInjected: 1"),
        ("X", "a\n"),
        ("X", "a\r"),
        ("X", "a\0"),
        ("X", "a\x7f"),
        ("X", "\N{SNOWMAN}"),
        ("", "a"),
        ("X:", "a"),
        ("X Y", "a"),
        ("X\r\nY", "a"),
        ("X\n", "a"),
        ("Ö", "a"),
    ],
)
def test_it_refuses_a_header_that_is_none(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="no HTTP header"):
        request_bytes("GET", "/", {name: value})


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"{}"),
        ({"Content-Length": "0"}, b"{}"),
        ({"Content-Length": "3"}, b"{}"),
        ({"Content-Length": "02"}, b"{}"),
        ({"Content-Length": "2"}, None),
        ({"Content-Length": "2", "Transfer-Encoding": "chunked"}, b"{}"),
    ],
)
def test_it_refuses_a_length_that_is_not_true(headers: dict[str, str], body: bytes | None) -> None:
    with pytest.raises(ValueError, match="Content-Length"):
        request_bytes("POST", "/", headers, body)


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text()))
@example("GET", "/", {"X": "\x85\xa0"})
def test_it_writes_as_many_lines_as_there_are_headers(
    method: str, target: str, headers: dict[str, str]
) -> None:
    try:
        request = request_bytes(method, target, headers)
    except ValueError:
        return
    lines = request.split(b"\r\n")
    assert len(lines) == len(headers) + 3
    assert not any(control in line for line in lines for control in b"\r\n\0")
    assert lines[0].split(b" ") == [method.encode(), target.encode(), b"HTTP/1.1"]


def test_it_reads_a_plain_head() -> None:
    received = START + b"Content-Length: 2\r\nKlarna-Correlation-Id:\tc-1 \r\nX:\r\n\r\n{}"
    headers = {"content-length": "2", "klarna-correlation-id": "c-1", "x": ""}
    assert plain_head(received) == Head(200, headers, len(received) - 2, 2, is_last=False)


def test_it_joins_what_was_said_twice() -> None:
    head = plain_head(START + b"Content-Length: 0\r\nX: a\r\nx: b\r\nX: a\r\n\r\n")
    assert head
    assert head.headers["x"] == "a, b, a"


@pytest.mark.parametrize(
    ("received", "status", "length"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, 0),
        (b"HTTP/1.1 204\r\nContent-Length: 0\r\n\r\n", 204, 0),
        (b"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", 404, 0),
        (b"HTTP/1.1 999 \xe9 \r\nContent-Length: 00012\r\n\r\n", 999, 12),
        (b"HTTP/1.1 307 Away\r\nContent-Length: 1\r\nLocation: /\r\n\r\n", 307, 1),
        (START + b"X: y\r\n" * 98 + b"Content-Length: 1\r\n\r\n", 200, 1),
        (START + b"Content-Length: 999999999999999999\r\n\r\n", 200, 10**18 - 1),
    ],
    ids=repr,
)
def test_it_takes_a_clear_length(received: bytes, status: int, length: int) -> None:
    head = plain_head(received)
    assert head
    assert (head.status, head.length, head.size) == (status, length, len(received))


@pytest.mark.parametrize(
    ("value", "is_last"),
    [(b"close", True), (b"Keep-Alive, CLOSE", True), (b"keep-alive", False), (b"", False)],
)
def test_it_hears_that_the_connection_will_be_closed(value: bytes, *, is_last: bool) -> None:
    head = plain_head(START + b"Content-Length: 0\r\nConnection: " + value + b"\r\n\r\n")
    assert head
    assert head.is_last is is_last


@pytest.mark.parametrize(
    "received",
    [
        b"",
        b"\r\n\r\n",
        b"HTTP/1.1 2",
        START,
        START + b"Content-Length: 0\r\n",
        START + b"Content-Length: 0\r\n\r",
        START + b"\r\n",
        START + b"Content-Length:\r\n\r\n",
        START + b"Content-Length: -1\r\n\r\n",
        START + b"Content-Length: +1\r\n\r\n",
        START + b"Content-Length: 1_0\r\n\r\n",
        START + b"Content-Length: 0x1\r\n\r\n",
        START + b"Content-Length: \xb2\r\n\r\n",
        START + b"Content-Length: 9999999999999999999\r\n\r\n",
        START + b"Content-Length: 3, 3\r\n\r\n",
        START + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
        START + b"Content-Length: 3\r\ncontent-length: 4\r\n\r\n",
        START + b"Content-Length : 3\r\n\r\n",
        START + b" Content-Length: 3\r\n\r\n",
        START + b"Content-Length: 3\r\n folded\r\n\r\n",
        START + b"Content-Length: 3\r\nno colon\r\n\r\n",
        START + b"Content-Length: 3\r\n: no name\r\n\r\n",
        START + b"Content-Length: 3\r\nX: a\0b\r\n\r\n",
        START + b"Content-Length: 3\r\nX: a\rb\r\n\r\n",
        START + b"Content-Length: 3\r\nX: a\nb\r\n\r\n",
        START + b"Content-Length: 3\n\n",
        START + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        START + b"Transfer-Encoding: chunked\r\n\r\n",
        START + b"X: y\r\n" * 99 + b"Content-Length: 1\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 \xb2\xb2\xb2 OK\r\nContent-Length: 0\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=lambda received: repr(received[:80]),
)
def test_it_leaves_to_others_what_is_not_plain(received: bytes) -> None:
    assert plain_head(received) is None


PIECES = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 204 \r\n", b"HTTP/1.1 999\r\n", b"\r\n", b"\r\n\r\n"),
        *(b"Content-Length: 3\r\n", b"content-length:\t12 \r\n", b"Content-Length: 3, 4\r\n"),
        *(b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"connection:CLOSE \r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"X: y\r\n", b"From : x\r\n", b" folded\r\n"),
        *(b"X: \x85\x1c\xa0\r\n", b"X-\xe9: y\r\n", b"X: a\x0bb\r\n", b"\n", b"\r", b":"),
    ]
)


@given(st.lists(PIECES | st.binary(max_size=8)).map(b"".join))
@example(START + b"Content-Length: 3\r\nX: \x85\x1c\xa0\r\n\r\n")
@example(START + b"X: y\r\n" * 98 + b"Content-Length: 1\r\n\r\nabc")
def test_it_reads_a_head_as_http_client_does(rest: bytes) -> None:
    for received in (rest, START + rest):
        head = plain_head(received)
        if head is None:
            continue
        theirs = their_head(received)
        assert (head.status, head.length, head.is_last) == (
            theirs.status,
            theirs.length,
            theirs.will_close,
        )
        assert {name: value.strip(" \t") for name, value in joined(theirs).items()} == {
            name: value.strip(" \t") for name, value in head.headers.items()
        }
        assert theirs.fp.read() == received[head.size :]


def their_head(received: bytes) -> HTTPResponse:
    class Fake:
        def makefile(self, _mode: str) -> io.BytesIO:
            return io.BytesIO(received)

    response = HTTPResponse(cast(socket.socket, Fake()), method="GET")
    response.begin()
    return response


def joined(response: HTTPResponse) -> dict[str, str]:
    names = {name.lower() for name in response.headers}
    return {
        name: ", ".join(value.strip(" \t") for value in response.headers.get_all(name, []))
        for name in names
    }
