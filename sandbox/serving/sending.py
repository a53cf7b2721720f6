"""Sending an answer, or doing to the client what a bad network does. Decides nothing.

Waits here are real seconds and end early when the client leaves or the sandbox is reset.
"""

import select
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum, auto
from http.client import responses

from sandbox.serving.answers import ApiAnswer

_CHUNK_BYTES = 64 * 1024
# SO_LINGER on, for 0 s: close() then sends RST instead of FIN.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Manner(Enum):
    """How an answer goes out."""

    WHOLE = auto()
    LATE = auto()  # the whole answer, after `wait_s`
    HOLD = auto()  # no answer; the connection is closed after `wait_s`
    RESET = auto()  # no answer; the connection is reset at once
    DRIP_BODY = auto()  # the body a byte every `wait_s`
    DRIP_HEAD = auto()  # the head a byte every `wait_s`


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and the manner in which it goes out.

    `padding` bytes of spaces follow the body (JSON allows them); `missing` bytes are announced but
    never sent: the connection is closed instead.
    """

    answer: ApiAnswer | None
    manner: Manner = Manner.WHOLE
    wait_s: float = 0
    padding: int = 0
    missing: int = 0

    @property
    def prompt(self) -> bool:
        """Whether it goes out in one piece, at once."""
        return self.manner is Manner.WHOLE and not self.padding


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of it: whether a whole head was sent, and whether the connection lives on."""

    answered: bool
    reusable: bool


def send(
    sock: socket.socket, reply: Reply, correlation_id: str | None, *, keep_alive: bool
) -> Sent:
    """Send the reply, with Klarna's correlation id if one is given and the answer has one.

    Never raises for a client that has left.
    """
    if reply.manner is Manner.RESET:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        sock.close()
        return Sent(answered=False, reusable=False)
    if reply.answer is None:
        _left_within(sock, reply.wait_s)
        return Sent(answered=False, reusable=False)
    if reply.manner is Manner.LATE and _left_within(sock, reply.wait_s):
        return Sent(answered=False, reusable=False)
    keep_alive = keep_alive and not reply.missing
    head = _head(reply, reply.answer, correlation_id, keep_alive=keep_alive)
    body = reply.answer.body or b""
    if reply.prompt:
        sent = _send(sock, [head + body])
        return Sent(answered=sent, reusable=sent and keep_alive)
    drip_head = reply.manner is Manner.DRIP_HEAD
    answered = _drip(sock, head, reply.wait_s) if drip_head else _send(sock, [head])
    drip_body = reply.manner is Manner.DRIP_BODY
    sent = answered and (_drip(sock, body, reply.wait_s) if drip_body else _send(sock, [body]))
    sent = sent and _send(sock, _spaces(reply.padding))
    return Sent(answered=answered, reusable=sent and keep_alive)


def _head(
    reply: Reply, answer: ApiAnswer, correlation_id: str | None, *, keep_alive: bool
) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} {responses.get(answer.status, '')}",
        f"Date: {formatdate(usegmt=True)}",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
    ]
    if answer.correlated and correlation_id:
        lines.append(f"Klarna-Correlation-Id: {correlation_id}")
    if answer.body is not None:
        length = len(answer.body) + reply.padding + reply.missing
        lines.append(f"Content-Length: {length}")
        if answer.content_type:
            lines.append(f"Content-Type: {answer.content_type}")
    lines += [f"{name}: {value}" for name, value in answer.headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _send(sock: socket.socket, parts: Iterator[bytes] | list[bytes]) -> bool:
    try:
        for part in parts:
            sock.sendall(part)
    except OSError:
        return False
    return True


def _drip(sock: socket.socket, content: bytes, interval_s: float) -> bool:
    for each in range(len(content)):
        if not _send(sock, [content[each : each + 1]]) or _left_within(sock, interval_s):
            return False
    return True


def _spaces(count: int) -> Iterator[bytes]:
    chunk = b" " * _CHUNK_BYTES
    for sent in range(0, count, _CHUNK_BYTES):
        yield chunk[: count - sent]


def _left_within(sock: socket.socket, wait_s: float) -> bool:
    """Wait, or see the client leave. One that sends more meanwhile is still there."""
    until = time.monotonic() + wait_s
    watch = select.poll()
    watch.register(sock, select.POLLIN)
    while (left_s := until - time.monotonic()) > 0:
        if not watch.poll(left_s * 1000):
            return False
        try:
            if not sock.recv(1, socket.MSG_PEEK):
                return True
        except OSError:
            return True
        watch.modify(sock, 0)  # there is more to read, later: only a hang-up is news now
    return False
