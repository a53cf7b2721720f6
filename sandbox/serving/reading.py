"""Reading HTTP/1.1 requests off a socket. Refuses chunked bodies; nobody sends the sandbox any.

Not `http.server`: that spends most of a request's time on parsing headers as if they were mail.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

_MAX_HEAD_BYTES = 64 * 1024
_MAX_BODY_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class MalformedRequestError(ValueError):
    """What came is not a request the sandbox reads: answer 400 and close."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request; header names are lower-case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool


class RequestReader:
    """The requests on one connection, one after the other."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""

    def next(self) -> ApiRequest | None:
        """Wait for the next request; None when the client has left.

        Raises MalformedRequestError, or OSError when the connection broke or was idle too long.
        """
        head = self._head()
        if head is None:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = _headers(lines)
        method, target, version = _request_line(first)
        body = self._body(headers)
        if body is None:
            return None
        path, _, query = target.partition("?")
        connection = headers.get("connection", "").lower()
        keep_alive = connection != "close" if version == "HTTP/1.1" else connection == "keep-alive"
        return ApiRequest(method, path, query, headers, body, keep_alive)

    def _head(self) -> bytes | None:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _MAX_HEAD_BYTES:
                raise MalformedRequestError("the head is too long")
            if not self._receive():
                return None
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        return head

    def _body(self, headers: Mapping[str, str]) -> bytes | None:
        if "transfer-encoding" in headers:
            raise MalformedRequestError("chunked bodies are not read here")
        announced = headers.get("content-length", "0")
        if not (announced.isascii() and announced.isdigit()) or int(announced) > _MAX_BODY_BYTES:
            raise MalformedRequestError("Content-Length is not a length the sandbox reads")
        length = int(announced)
        if headers.get("expect", "").lower() == "100-continue" and len(self._buffer) < length:
            self._sock.sendall(_CONTINUE)
        while len(self._buffer) < length:
            if not self._receive():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return body

    def _receive(self) -> bool:
        chunk = self._sock.recv(_CHUNK_BYTES)
        self._buffer += chunk
        return bool(chunk)


def _request_line(line: str) -> tuple[str, str, str]:
    match line.split(" "):
        case [method, target, ("HTTP/1.0" | "HTTP/1.1") as version] if target.startswith("/"):
            return method, target, version
    raise MalformedRequestError("this is not a request line")


def _headers(lines: list[str]) -> dict[str, str]:
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise MalformedRequestError("this is not a header line")
        headers[name.lower()] = value.strip()
    return headers
