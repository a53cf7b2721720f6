"""urllib3's connections, made so that no call outlives its deadline and no answer is mistaken.

HTTP, TLS and proxies are http.client's and urllib3's. Added is what they leave open:

    deadlines        every socket is shown to the call's deadline, looking up a name ends with it,
                     and all addresses of a host together get no more time than is left
    torn heads       an answer that ends inside its head is none; http.client takes it for whole
    doubts           a connection carries another call only when nobody could disagree on where
                     the answer ended, and nothing came after it
    negative chunks  are a broken answer; http.client would read to the end of the connection
"""

import io
import os
import socket
import ssl
import threading
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Any, Final, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family, create_connection
from urllib3.util.ssl_ import create_urllib3_context
from urllib3.util.ssltransport import SSLTransport

from klarna.deadlines import current_deadline, shut

_HTTP_1_1: Final = 11  # as http.client counts

# SSLTransport is urllib3's TLS inside TLS: to a host behind a proxy that is spoken to in TLS.
_Socket = socket.socket | SSLTransport


class _Reader(io.BufferedReader):
    """Reads one answer off `sock`, and shuts it when something came after the answer."""

    def __init__(self, raw: io.RawIOBase, sock: _Socket) -> None:
        super().__init__(raw)
        self._sock = sock
        self.has_ended = False

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        self.has_ended = not line
        return line

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise HTTPException("a negative chunk size")
        return super().read(size)

    def close(self) -> None:
        """Look for more, without waiting: http.client closes its file where the answer ends."""
        if not self.closed:
            timeout_s = self._sock.gettimeout()
            with suppress(OSError):  # nothing there, or no connection any more
                self._sock.settimeout(0)
                if self.peek(1):
                    shut(_plain(self._sock))
            with suppress(OSError):
                self._sock.settimeout(timeout_s)
        super().close()


class _Response(HTTPResponse):
    """An answer as http.client reads it, refused when torn, its connection given up in doubt."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:  # noqa: ANN401 - http.client's own
        super().__init__(sock, *args, **options)
        self._reader = _Reader(self.fp.detach(), sock)
        self.fp = self._reader

    def begin(self) -> None:
        super().begin()
        if self._reader.has_ended:
            raise IncompleteRead(b"")
        lengths = self.headers.get_all("Content-Length", [])
        if len({part.strip() for length in lengths for part in length.split(",")}) > 1:
            raise HTTPException("lengths that contradict each other")
        if not self._is_framed(lengths):
            self.will_close = True

    def _is_framed(self, lengths: list[str]) -> bool:
        """Whether everybody would agree on where this answer ends."""
        encodings = self.headers.get_all("Transfer-Encoding", [])
        if self.version != _HTTP_1_1 or self.headers.defects:
            return False
        if self.status == HTTPStatus.NO_CONTENT:
            return not encodings and lengths in ([], ["0"])
        has_body = self.status >= HTTPStatus.OK and self.status != HTTPStatus.NOT_MODIFIED
        is_said_once = len(lengths) + len(encodings) == 1
        return has_body and is_said_once and all(map(str.isdecimal, lengths))


class PlainConnection(HTTPConnection):
    """A connection that is watched from its first byte: a proxy or TLS may be slow to answer."""

    response_class = _Response

    def request(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - urllib3's own
        """Send a request; on a connection that was kept, its socket is the one to watch."""
        if self.sock is not None:
            current_deadline.get().watch(_plain(self.sock))
        super().request(*args, **options)

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that answers, in no more time than is left."""
        deadline = current_deadline.get()
        failure: Exception = ConnectTimeoutError(self, "no time is left to connect")
        try:
            addresses = _lookups.addresses(self._dns_host, self.port, deadline.left_s)
        except TimeoutError as error:
            raise failure from error
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        for address in self._allowed(addresses):
            if not (left_s := deadline.left_s):
                break
            try:
                sock = create_connection(
                    (address, self.port),
                    min(cast(float, self.timeout), left_s),
                    self.source_address,
                    self.socket_options,
                )
            except TimeoutError as error:
                failure = ConnectTimeoutError(self, "no address answers")
                failure.__cause__ = error
            except OSError as error:
                failure = NewConnectionError(self, str(error))
                failure.__cause__ = error
            else:
                deadline.watch(sock)
                return sock
        raise failure

    def _allowed(self, addresses: list[str]) -> list[str]:
        """Say which addresses of the host may be called: all, unless a kind of ours is choosy."""
        return addresses


class TLSConnection(PlainConnection, HTTPSConnection):
    """The same in TLS."""


class PlainPool(HTTPConnectionPool):
    """A pool of such connections."""

    ConnectionCls = PlainConnection


class TLSPool(HTTPSConnectionPool):
    """The same in TLS."""

    ConnectionCls = TLSConnection


class _TLSSocket(ssl.SSLSocket):
    """A TLS session that is watched from its handshake on."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - ssl's own
        current_deadline.get().watch(self)
        super().do_handshake(block)


@cache
def tls_context(bundle: str) -> ssl.SSLContext:
    """Return the TLS settings of every connection of the process that trusts this CA bundle.

    Raises OSError, of which ssl's errors are a kind, for a bundle that cannot be read.
    """
    context = create_urllib3_context()
    is_directory = Path(bundle).is_dir()
    context.load_verify_locations(**{"capath" if is_directory else "cafile": bundle})
    context.sslsocket_class = _TLSSocket
    return context


def _plain(sock: _Socket) -> socket.socket:
    return sock.socket if isinstance(sock, SSLTransport) else sock


class _Lookups:
    """Looks up names in threads of their own: the operating system's lookup cannot be ended.

    There is one thread for each name at a time, however many connections wait for it, and nothing
    is remembered: for how long an answer is good, only the operating system's resolver knows.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], Future[list[str]]] = {}

    def addresses(self, host: str, port: int, timeout_s: float) -> list[str]:
        """Return the host's addresses; raises TimeoutError, or what the lookup raised."""
        with self._lock:
            future = self._running.get((host, port))
            if future is None:
                future = Future()
                arguments = (host, port, future)
                threading.Thread(
                    target=self._run, args=arguments, name="klarna-lookup", daemon=True
                ).start()
                self._running[host, port] = future
        return future.result(timeout_s)

    def _run(self, host: str, port: int, future: Future[list[str]]) -> None:
        try:
            addresses = _look_up(host, port)
        except BaseException as error:  # noqa: BLE001 - whoever waits for it gets it
            self._forget(host, port)
            future.set_exception(error)
        else:
            self._forget(host, port)
            future.set_result(addresses)

    def _forget(self, host: str, port: int) -> None:
        with self._lock:
            del self._running[host, port]


def _look_up(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, allowed_gai_family(), socket.SOCK_STREAM)
    except socket.gaierror:
        # Where no more files may be opened, the resolver says "unknown", not why. This does.
        socket.socket().close()
        raise
    return [_written(sockaddr) for *_, sockaddr in found]


def _written(sockaddr: tuple[Any, ...]) -> str:
    """Write an address down as it is looked up again, with the interface it may be bound to."""
    address, scope = str(sockaddr[0]), sockaddr[3] if len(sockaddr) > 3 else 0  # noqa: PLR2004
    return f"{address}%{scope}" if scope and "%" not in address else address


_lookups = _Lookups()


def _begin_anew() -> None:
    """Forget lookups that only the parent process hears of."""
    global _lookups  # noqa: PLW0603 - they are the process's, and this is another process
    _lookups = _Lookups()


os.register_at_fork(after_in_child=_begin_anew)
