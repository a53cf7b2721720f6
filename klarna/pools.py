"""Urllib3's pool of connections to one host, which sends the requests itself.

The pool still connects, through a proxy where there is one, verifies TLS, keeps connections alive
and finds out which of them the server has closed. Only sending and receiving are ours, at a third
of the CPU (ADR 17). Refused: trying again, following redirects, unpacking.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from http.client import HTTPException
from typing import cast

from urllib3 import Timeout
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ProtocolError, SSLError
from urllib3.util.proxy import connection_requires_http_tunnel
from urllib3.util.ssl_match_hostname import CertificateError

from klarna.connections import watch, watched
from klarna.reading import receive
from klarna.received import Received
from klarna.wire import request_bytes


class SendingPool(HTTPConnectionPool):
    """A pool whose requests all go to `host_header`, the name of the host as it is sent."""

    host_header: str

    def urlopen(  # type: ignore[override]  # the answer is read already
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: Timeout,
        **_options: object,
    ) -> Received:
        """Send one request and read its answer; called by requests' adapter.

        Raises OSError or urllib3's HTTPError when no answer came, ValueError before anything is
        sent. The connect limit of `timeout` is per address, its read limit holds for each wait.
        """
        needs_tunnel = connection_requires_http_tunnel(self.proxy, self.proxy_config, self.scheme)
        all_headers = {"Host": self.host_header, "Accept-Encoding": "identity", **(headers or {})}
        if not needs_tunnel:
            all_headers |= self.proxy_headers
        request = request_bytes(method, url, all_headers, body)
        connection = cast(HTTPConnection, self._get_conn())
        is_reusable = False
        try:
            if connection.is_closed:
                self._connect(connection, timeout, through_tunnel=needs_tunnel)
            watch(connection.sock)
            # A server may answer and hang up before it has heard all: the answer counts.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sock.sendall(request)
            received = receive(connection.sock, method)
            is_reusable = received.is_reusable
        except HTTPException as error:
            raise ProtocolError("Connection aborted.", error) from error
        except CertificateError as error:
            raise SSLError(error) from error
        finally:
            if not is_reusable:
                connection.close()
            self._put_conn(connection)
        return received

    def _connect(
        self, connection: HTTPConnection, timeout: Timeout, *, through_tunnel: bool
    ) -> None:
        """Connect as urllib3's own `urlopen` would, up to a verified TLS session."""
        connection.timeout = Timeout.resolve_default_timeout(timeout.connect_timeout)
        if through_tunnel:
            self._prepare_proxy(connection)
        self._validate_conn(connection)
        if connection.is_closed:
            connection.connect()
        connection.sock.settimeout(timeout.read_timeout)


@cache
def sending(pool_class: type[HTTPConnectionPool]) -> type[SendingPool]:
    """Make any of urllib3's pools (plain, TLS, SOCKS) a sending one with watched connections."""
    name = f"Sending{pool_class.__name__}"
    names = {"ConnectionCls": watched(pool_class.ConnectionCls)}
    return type(name, (SendingPool, pool_class), names)
