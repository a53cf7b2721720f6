"""What comes out of a connection: bytes, and at last an answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from socket import socket
from ssl import SSLSocket
from typing import Final

from urllib3.util.ssltransport import SSLTransport

CHUNK_BYTES: Final = 64 * 1024  # an order fits into one; nobody can make us allocate more at once

# SSLTransport is urllib3's TLS inside TLS: to a host behind a proxy that is spoken to in TLS.
Socket = socket | SSLTransport


@dataclass(frozen=True, slots=True)
class Received:
    """An answer, complete or up to the cap; to requests it looks like one of urllib3's.

    Its connection may carry another call only when the server said where the answer ends, and
    nothing came after it: that would be taken for the answer to the next call.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_reusable: bool
    reason: str = ""

    def read(self, _limit: int) -> bytes:
        """Return the body, which nobody can read twice any more than urllib3's."""
        return self.body

    def close(self) -> None:
        """Do nothing: the connection is back in its pool."""


def bytes_from(sock: Socket, limit: int) -> bytes:
    """Wait for bytes; none is the end of the connection."""
    received = sock.recv(limit)
    return received if isinstance(received, bytes) else b""  # SSLTransport ends with the number 0


def holds_bytes(sock: Socket) -> bool:
    """Whether TLS unpacked bytes that nobody read; urllib3 looks for those still packed itself."""
    if isinstance(sock, SSLTransport):
        return bool(sock.sslobj.pending() or sock.incoming.pending)
    return isinstance(sock, SSLSocket) and sock.pending() > 0
