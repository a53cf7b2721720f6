"""A server that says exactly what a test tells it, byte by byte, and clients that talk to it."""

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from klarna import Exchange, KlarnaClient, TimeLimits, TransientError, resolve_api_url

# Made for these tests and used nowhere else: for 127.0.0.1, signed by itself, valid until 2120.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgj0Mv3xDiDKrDmhks
GLTDx6m1eZVZ2bEjMk6CzvbXraChRANCAAR4QSHKWXxxZw0Ou9OK1GP4KPxRry7f
DE9IEjCVVquvqrAaIyQOYlrJREElmTIZvzppA3F4YraXA26ueEDhWAKM
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBazCCARCgAwIBAgIBATAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBBrbGFybmEt
YWNrIHRlc3RzMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAbMRkw
FwYDVQQDDBBrbGFybmEtYWNrIHRlc3RzMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAEeEEhyll8cWcNDrvTitRj+Cj8Ua8u3wxPSBIwlVarr6qwGiMkDmJayURBJZky
Gb86aQNxeGK2lwNurnhA4VgCjKNDMEEwDwYDVR0RBAgwBocEfwAAATAPBgNVHRMB
Af8EBTADAQH/MB0GA1UdDgQWBBQ/CavbFGmC1SQTVoHSD/fAteRLCzAKBggqhkjO
PQQDAgNJADBGAiEAtC/sbZczUDr5rlvL5e02nQBrAiOkqVUC5lnzOrjm5bkCIQD/
d6lbvLgwFIQ8aLIwXtqcbAfy1kXo3yHTP8+B1018Nw==
-----END CERTIFICATE-----
"""

ORDER_ID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
ORDER = json.dumps({"order_id": ORDER_ID, "status": "AUTHORIZED"}).encode()
LONG_S = 60.0  # a limit no test reaches
IN_TIME_S = 10.0  # far above the limits set here, far below what the server would take

Talk = Callable[["RawLine"], None]


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


OK = http("200 OK", ORDER, "Content-Type: application/json")


class RawLine:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, closing_down: threading.Event) -> None:
        self.sock = sock
        self.closing_down = closing_down

    def request(self) -> str:
        """The next request; empty when the client hung up."""
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            chunk = self.sock.recv(65536)
            if not chunk:
                return ""
            received += chunk
        return received.decode()

    def say(self, text: bytes) -> None:
        self.sock.sendall(text)

    def drip(self, text: bytes) -> None:
        """Send a byte now and then, often enough for every read to see one, without an end."""
        while not self.closing_down.wait(0.05):
            self.say(text[:1])
            text = text[1:] or b" "

    def reset(self) -> None:
        """Make the end of the connection a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def hang_up(self) -> None:
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)


class RawServer:
    """Talks to each connection in a thread of its own; `requests` holds what it heard."""

    def __init__(self, talk: Talk, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[str] = []
        self.connections = 0
        self._talk = talk
        self._tls = tls
        self._closing_down = threading.Event()
        self._stack = ExitStack()
        self._listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept)]
        self._lines: list[RawLine] = []

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing_down.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for line in self._lines:
            line.hang_up()
        for thread in self._threads:
            thread.join()
        self._stack.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                sock.settimeout(LONG_S)
                self.connections += 1
                self._lines.append(RawLine(sock, self._closing_down))
                thread = threading.Thread(target=self._converse, args=(self._lines[-1],))
                self._threads.append(thread)
                thread.start()

    def _converse(self, line: RawLine) -> None:
        with suppress(OSError):
            if self._tls:
                line.sock = self._tls.wrap_socket(line.sock, server_side=True)
            self._talk(line)
        line.sock.close()


class Recorder(RawServer):
    """Answers every request of a connection alike and writes the requests down."""

    def __init__(self, answer: bytes = OK, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(self._answer, tls)
        self._bytes = answer

    def _answer(self, line: RawLine) -> None:
        while request := line.request():
            self.requests.append(request)
            line.say(self._bytes)


@contextmanager
def client_of(server: RawServer | str, limits: TimeLimits | None = None) -> Iterator[KlarnaClient]:
    url = server if isinstance(server, str) else server.url
    limits = limits or TimeLimits(LONG_S, LONG_S, LONG_S)
    with KlarnaClient(
        resolve_api_url(url),
        "K1",
        "secret",
        pool_size=32,
        user_agent="klarna-ack/1",
        time_limits=limits,
    ) as client:
        yield client


def no_answer(client: KlarnaClient) -> str:
    """Get an order in vain; what the error says."""
    seen: list[Exchange] = []
    with pytest.raises(TransientError) as caught:
        client.get_order(ORDER_ID, observe=seen.append)
    assert [(one.http_status, one) for one in seen] == [(None, caught.value.exchange)]
    return str(seen[0].error)


def thread_names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def headers_of(request: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in request.split("\r\n")[1:] if line)


def trusting(monkeypatch: pytest.MonkeyPatch, folder: Path) -> ssl.SSLContext:
    """Make clients trust the certificate, written to a file there; the server's side of TLS."""
    bundle = folder / "certificate.pem"
    bundle.write_text(CERTIFICATE)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle)
    return context
