"""Connections that tell the deadline of the call under way which socket it waits on."""

import socket
from functools import cache

from urllib3.connection import HTTPConnection
from urllib3.util.ssltransport import SSLTransport

from klarna.deadlines import current_deadline
from klarna.received import Socket


class WatchedConnection(HTTPConnection):
    """A connection that is watched from its first byte: a proxy or TLS may be slow to answer."""

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        watch(sock)
        return sock


@cache
def watched(connection_class: type[HTTPConnection]) -> type[HTTPConnection]:
    """Make any of urllib3's connections (plain, TLS, SOCKS) a watched one."""
    return type(f"Watched{connection_class.__name__}", (WatchedConnection, connection_class), {})


def watch(sock: Socket) -> None:
    """Make it the socket to shut when the time is up; TLS puts another in its place."""
    if deadline := current_deadline.get():
        deadline.watch(sock.socket if isinstance(sock, SSLTransport) else sock)
