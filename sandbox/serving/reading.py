"""Reading requests off a socket: httptools parses, this module keeps the limits.

The sockets are the sandbox's own, because its faults spoil answers byte by byte.
"""

import socket
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

import httptools

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
    """The requests on one connection, one after the other.

    Rubbish behind a request does not take away its answer, which is then the last one: some
    clients give a GET a body that no header announces.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._parser = httptools.HttpRequestParser(self)
        self._complete: deque[ApiRequest] = deque()
        self._malformed: MalformedRequestError | None = None
        self._asks_to_continue = False
        self.on_message_begin()

    def next(self) -> ApiRequest | None:
        """Wait for the next request; None when the client has left.

        Raises MalformedRequestError, or OSError when the connection broke or was idle too long.
        """
        while not self._complete:
            if self._malformed:
                raise self._malformed
            received = self._sock.recv(_CHUNK_BYTES)
            if not received:
                return None
            self._feed(received)
            self._head_bytes += len(received)
            if self._in_head and self._head_bytes > _MAX_HEAD_BYTES:
                raise MalformedRequestError("the head is too long")
            if self._asks_to_continue:
                self._asks_to_continue = False
                self._sock.sendall(_CONTINUE)
        request = self._complete.popleft()
        last = self._malformed is not None and not self._complete
        return replace(request, keep_alive=False) if last else request

    def _feed(self, received: bytes) -> None:
        try:
            self._parser.feed_data(received)
        except httptools.HttpParserUpgrade as upgrade:
            # An offer to go on in HTTP/2, say. It is declined by answering in HTTP/1.1.
            self._parser = httptools.HttpRequestParser(self)
            if rest := received[upgrade.args[0] :]:
                self._feed(rest)
        except httptools.HttpParserError as error:
            # A limit that a callback found broken comes wrapped.
            self._malformed = MalformedRequestError(str(error.__context__ or error))

    def on_message_begin(self) -> None:
        """Start a request. This and the rest are what the parser calls."""
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._head_bytes = 0
        self._in_head = True
        self._asks_to_continue = False

    def on_url(self, part: bytes) -> None:
        """Take in the target, or a part of it."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Note that the body comes next, and whether it waits to be asked for."""
        self._in_head = False
        self._asks_to_continue = self._headers.get("expect", "").lower() == "100-continue"

    def on_body(self, part: bytes) -> None:
        """Take in a part of the body. Raises MalformedRequestError when it gets too long."""
        if len(self._body) + len(part) > _MAX_BODY_BYTES:
            raise MalformedRequestError(f"the body is longer than {_MAX_BODY_BYTES} bytes")
        self._body += part

    def on_message_complete(self) -> None:
        """Hand the request out."""
        self._asks_to_continue = False
        target = self._target
        if not target.startswith(b"/"):  # a whole URL, as a proxy is asked for it
            target = target.partition(b"://")[2].partition(b"/")[2]
        path, _, query = target.decode("latin-1").partition("?")
        self._complete.append(
            ApiRequest(
                self._parser.get_method().decode("ascii"),
                path if path.startswith("/") else f"/{path}",
                query,
                self._headers,
                bytes(self._body),
                self._parser.should_keep_alive(),
            )
        )
