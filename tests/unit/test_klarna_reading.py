"""An answer in any pieces, from a socket that is none."""

import io
import socket
from http.client import HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3.exceptions import HTTPError

from klarna.answers import MAX_BODY_BYTES
from klarna.reading import receive
from klarna.received import Received

START = b"HTTP/1.1 200 OK\r\n"
THREE = START + b"Content-Length: 3\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n"


class Pieces:
    """Gives one piece a time, as a socket does, then the end; `read` counts what was taken."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = [piece for piece in pieces if piece]
        self.read = 0

    def recv(self, limit: int) -> bytes:
        if not self.pieces:
            return b""
        piece, rest = self.pieces[0][:limit], self.pieces[0][limit:]
        self.pieces[:1] = [rest] if rest else []
        self.read += len(piece)
        return piece

    def recv_into(self, buffer: memoryview) -> int:
        piece = self.recv(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def received_of(*pieces: bytes) -> Received:
    return receive(cast(socket.socket, Pieces(*pieces)), "GET")


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        ([THREE + b"\r\nabc"], b"abc"),
        ([THREE + b"\r\n", b"abc"], b"abc"),
        ([THREE + b"\r\na", b"b", b"c"], b"abc"),
        ([THREE[:4], THREE[4:], b"\r\nabc"], b"abc"),
        ([THREE + b"\r", b"\nabc"], b"abc"),
        ([THREE + b"X: " + b"y" * 20_000 + b"\r\n\r\nabc"], b"abc"),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], b""),
        ([CHUNKED + b"\r\n3\r\nabc\r\n0\r\n\r\n"], b"abc"),
        ([CHUNKED + b"\r\n3\r\na", b"bc\r\n", b"2;x=y\r\nde\r\n0\r\nT: x\r\n\r\n"], b"abcde"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", THREE + b"\r\nabc"], b"abc"),
        ([START + b"Content-Length: 3\n\nabc"], b"abc"),
    ],
    ids=repr,
)
def test_it_keeps_the_connection_after_a_clear_answer(pieces: list[bytes], body: bytes) -> None:
    received = received_of(*pieces)
    assert (received.body, received.is_reusable) == (body, True)


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        ([THREE + b"\r\nabcd"], b"abc"),
        ([THREE + b"Connection: close\r\n\r\nabc"], b"abc"),
        ([THREE + THREE[len(START) :] + b"\r\nabc"], b"abc"),
        ([THREE + CHUNKED[len(START) :] + b"\r\n3\r\nabc\r\n0\r\n\r\n"], b"abc"),
        ([THREE + b"Transfer-Encoding: gzip\r\n\r\nabc"], b"abc"),
        ([THREE + b"no colon\r\n\r\nabc"], b"abc"),
        ([THREE.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\n\r\nabc"], b"abc"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" + THREE + b"\r\nabcd"], b"abc"),
        ([CHUNKED + b"\r\n3\r\nabc\r\n0\r\n\r\nd"], b"abc"),
        ([CHUNKED + b"Connection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"], b"abc"),
        ([START + b"\r\nabc", b"def"], b"abcdef"),
        ([b"HTTP/1.1 103 Early Hints\r\n\r\n"], b""),
        ([b"HTTP/1.1 304 Not Modified\r\n\r\n"], b""),
        ([b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc"], b""),
    ],
    ids=repr,
)
def test_it_gives_up_the_connection_where_a_doubt_is_left(pieces: list[bytes], body: bytes) -> None:
    received = received_of(*pieces)
    assert (received.body, received.is_reusable) == (body, False)


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([], RemoteDisconnected),
        ([THREE], IncompleteRead),
        ([THREE + b"\r\n"], IncompleteRead),
        ([THREE + b"\r\na", b"b"], IncompleteRead),
        ([START[:-2]], IncompleteRead),
        ([START + b"X: y"], IncompleteRead),
        ([b"HTTP/1.1 204 No Content\r\n"], IncompleteRead),
        ([THREE + b"Content-Length: 4\r\n\r\nabc"], HTTPError),
        ([THREE + b"Content-Length: 3\r\n\r\nab"], HTTPError),
        ([CHUNKED + b"\r\n3\r\nab"], HTTPError),
        ([CHUNKED + b"\r\nzz\r\n"], HTTPError),
        ([b"SSH-2.0-OpenSSH_9.9\r\n", b"waiting"], HTTPException),
        ([THREE + b"X: y\r\n" * 101 + b"\r\nabc"], HTTPException),
        ([THREE + b"X: ", b"y" * 70_000], HTTPException),
    ],
    ids=lambda pieces: repr(pieces)[:80],
)
def test_it_takes_nothing_half_for_an_answer(pieces: list[bytes], error: type[Exception]) -> None:
    with pytest.raises(error):
        received_of(*pieces)


@pytest.mark.parametrize("head", [START + b"Content-Length: %d\r\n\r\n", START + b"X: %d\r\n\r\n"])
def test_it_reads_one_byte_more_than_the_cap(head: bytes) -> None:
    pieces = Pieces(head % (10 * MAX_BODY_BYTES), *[b" " * 1_000_000] * 20)
    received = receive(cast(socket.socket, pieces), "GET")
    assert (len(received.body), received.is_reusable) == (MAX_BODY_BYTES + 1, False)
    assert pieces.read < MAX_BODY_BYTES + 1_000_000


PARTS = [
    *(START, THREE, CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 \r\n\r\n", b"abc"),
    *(b"\r\n", b"\r\n\r\n", b"\n\n", b"Content-Length: 3\r\n", b"Connection: close\r\n", b"3\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"X: y\r\n", b"0\r\n\r\n", b"Content-Length: 3, 3\r\n"),
]
ANSWERS = st.lists(st.sampled_from(PARTS) | st.binary(max_size=8), max_size=8)


@given(ANSWERS)
@example([THREE, b"\r\n", b"abc"])
def test_it_raises_nothing_unexpected_and_agrees_with_http_client(pieces: list[bytes]) -> None:
    try:
        received = received_of(*pieces)
    except (OSError, HTTPException, HTTPError):
        return
    theirs = HTTPResponse(cast(socket.socket, File(b"".join(pieces))), method="GET")
    theirs.begin()
    assert (received.status, received.body) == (theirs.status, theirs.read())


@given(ANSWERS, st.integers(0, 40), st.integers(0, 40))
def test_it_reads_the_same_however_the_pieces_fall(
    pieces: list[bytes], first: int, second: int
) -> None:
    whole = b"".join(pieces)
    cuts = sorted((first, first + second))
    parts = [whole[: cuts[0]], whole[cuts[0] : cuts[1]], whole[cuts[1] :]]
    assert outcome(whole) == outcome(*parts)


def outcome(*pieces: bytes) -> tuple[int, bytes] | tuple[type[Exception], str]:
    try:
        received = received_of(*pieces)
    except (OSError, HTTPException, HTTPError):
        return Exception, ""
    return received.status, received.body


class File:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self.content)
