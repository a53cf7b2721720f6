"""Answers that are not plain, read by http.client and checked by urllib3, as requests would.

They know more of HTTP than we want to: chunks, 100 Continue, bodies that end with the connection.
What was read of the answer before they came in is read to them again.
"""

import io
from http import HTTPStatus
from http.client import HTTPResponse, IncompleteRead
from typing import Final, cast

from urllib3 import HTTPHeaderDict
from urllib3.response import HTTPResponse as CheckedResponse

from klarna.answers import MAX_BODY_BYTES
from klarna.received import CHUNK_BYTES, Received, Socket, holds_bytes

_HTTP_1_1: Final = 11  # as http.client counts


class _Stream(io.RawIOBase):
    """The bytes read so far, then those the socket gives; what http.client takes for a socket."""

    def __init__(self, first: bytes, sock: Socket) -> None:
        self._first = memoryview(first)
        self._sock = sock
        self.has_ended = False
        self.has_bytes_left = False

    def makefile(self, _mode: str) -> io.BufferedReader:
        return _Reader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # that is what comes
        if self._first:
            count = min(len(buffer), len(self._first))
            buffer[:count] = self._first[:count]
            self._first = self._first[count:]
            return count
        if self.has_ended:
            return 0
        count = cast(int, self._sock.recv_into(buffer))
        self.has_ended = not count
        return count

    def look_for_rest(self, reader: io.BufferedReader) -> None:
        """Note whether there are bytes after the answer, without waiting for any."""
        self.has_ended = True
        self.has_bytes_left = bool(reader.peek(1))


class _Reader(io.BufferedReader):
    """Says what it still holds when it is closed: http.client does so at the answer's end."""

    def __init__(self, stream: _Stream) -> None:
        super().__init__(stream)
        self._stream = stream

    def close(self) -> None:
        if not self.closed:
            self._stream.look_for_rest(self)
        super().close()


def receive_odd(sock: Socket, first: bytes, method: str) -> Received:
    """Read an answer of which `first` was read already; raises what `reading.receive` raises."""
    stream = _Stream(first, sock)
    response = HTTPResponse(stream, method=method)  # type: ignore[arg-type]  # it only makes a file
    try:
        response.begin()
        if stream.has_ended:  # http.client takes the end for the empty line
            raise IncompleteRead(b"")
        headers = HTTPHeaderDict(response.headers.items())
        body = _body_of(response, headers, method)
        is_complete = response.isclosed() and len(body) <= MAX_BODY_BYTES
    finally:
        response.close()
    is_reusable = (
        is_complete
        and _is_framed(response)
        and not (response.will_close or stream.has_bytes_left or holds_bytes(sock))
    )
    return Received(response.status, headers, body, is_reusable)


def _body_of(response: HTTPResponse, headers: HTTPHeaderDict, method: str) -> bytes:
    """Read the body; urllib3 sees to it that it is as long as it was said to be."""
    checked = CheckedResponse(
        response,
        headers,
        response.status,
        preload_content=False,
        decode_content=False,
        original_response=response,
        request_method=method,
    )
    body = bytearray()
    while len(body) <= MAX_BODY_BYTES and (chunk := checked.read(CHUNK_BYTES)):
        body += chunk
    return bytes(body[: MAX_BODY_BYTES + 1])


def _is_framed(response: HTTPResponse) -> bool:
    """Whether everybody would agree on where this answer ended; a doubt costs a connection."""
    lengths = response.headers.get_all("Content-Length", [])
    encodings = response.headers.get_all("Transfer-Encoding", [])
    ends_by_itself = response.status >= HTTPStatus.OK and response.status not in {
        HTTPStatus.NO_CONTENT,
        HTTPStatus.NOT_MODIFIED,
    }
    is_clear = (len(lengths), len(encodings)) in {(1, 0), (0, 1)}
    return (
        ends_by_itself
        and is_clear
        and not response.headers.defects
        and response.version == _HTTP_1_1
    )
