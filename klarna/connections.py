"""Connections to one host: kept alive, watched by the deadlines, TLS always verified.

There is no `requests.Session` on purpose: following redirects, storing cookies, re-reading the
environment and `.netrc` for each call are all done by the Session. The adapter below it sends
exactly one request and nothing else.
"""

import os
import socket
from functools import cache
from pathlib import Path
from typing import cast

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.response import HTTPResponse
from urllib3.util.ssltransport import SSLTransport

from klarna.deadlines import current_deadline


class OneHostAdapter(HTTPAdapter):
    """Requests' adapter for one host: its pool is looked up once, its connections are watched."""

    def __init__(self, url: str, pool_size: int) -> None:
        super().__init__(pool_connections=1, pool_maxsize=pool_size, max_retries=0)
        self.verify = _ca_bundle()
        self.proxies = get_environ_proxies(url)
        probe = requests.Request("GET", url).prepare()
        self._pool = cast(
            "HTTPConnectionPool",
            super().get_connection_with_tls_context(probe, self.verify, self.proxies),
        )
        self._pool.ConnectionCls = watched(self._pool.ConnectionCls)

    def get_connection_with_tls_context(
        self, *_args: object, **_kwargs: object
    ) -> HTTPConnectionPool:
        """Return the one pool: building urllib3's pool key for each call costs more than JSON."""
        return self._pool

    def close(self) -> None:
        """Close the idle connections; urllib3 itself leaves that to the garbage collector."""
        super().close()
        self._pool.close()


def _ca_bundle() -> str | bool:
    """Return the CA bundle the environment names, as requests would; True means certifi's."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if bundle and not Path(bundle).exists():
        raise ValueError("REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names no existing file or directory")
    return bundle or True


class WatchedConnection(HTTPConnection):
    """A connection that tells the call's deadline which socket it waits on."""

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        _watch(sock)
        return sock

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3 differs from http.client here
        """Watch what TLS made of the socket, or a connection kept alive since an earlier call."""
        _watch(self.sock)
        return super().getresponse()


@cache
def watched(connection_class: type[HTTPConnection]) -> type[HTTPConnection]:
    """Make any of urllib3's connections (plain, TLS, SOCKS) a watched one."""
    if issubclass(connection_class, WatchedConnection):
        return connection_class
    return type(f"Watched{connection_class.__name__}", (WatchedConnection, connection_class), {})


def _watch(sock: socket.socket | SSLTransport) -> None:
    if deadline := current_deadline.get():
        deadline.watch(sock.socket if isinstance(sock, SSLTransport) else sock)
