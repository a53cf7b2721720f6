"""One answer, read off the socket of its connection, up to the cap.

A plain answer is taken as it comes; `klarna.oddities` reads any other.
"""

from http.client import IncompleteRead, RemoteDisconnected
from typing import Final

from klarna.answers import MAX_BODY_BYTES
from klarna.oddities import receive_odd
from klarna.received import CHUNK_BYTES, Received, Socket, bytes_from, holds_bytes
from klarna.wire import Head, plain_head

# The head and most orders fit into it, and a TLS record is no longer.
_FIRST_BYTES: Final = 16 * 1024


def receive(sock: Socket, method: str) -> Received:
    """Read the answer to a request that was sent.

    Raises OSError, http.client's HTTPException or urllib3's HTTPError when there is none, or when
    it ends early; the connection is of no use then.
    """
    first = bytes_from(sock, _FIRST_BYTES)
    if not first:
        raise RemoteDisconnected("the server closed the connection without an answer")
    head = plain_head(first)
    return _receive_plain(sock, first, head) if head else receive_odd(sock, first, method)


def _receive_plain(sock: Socket, first: bytes, head: Head) -> Received:
    body = bytearray(memoryview(first)[head.size :])
    wanted = min(head.length, MAX_BODY_BYTES + 1)
    while len(body) < wanted:
        chunk = bytes_from(sock, min(CHUNK_BYTES, wanted - len(body)))
        if not chunk:
            raise IncompleteRead(b"", head.length - len(body))
        body += chunk
    is_reusable = len(body) == head.length and not head.is_last and not holds_bytes(sock)
    return Received(head.status, head.headers, bytes(body[:wanted]), is_reusable)
