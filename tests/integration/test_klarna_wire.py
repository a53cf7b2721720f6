"""The client against a server that says exactly what a test tells it, byte by byte."""

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klarna import (
    Exchange,
    KlarnaClient,
    KlarnaError,
    MisconfigurationCause,
    MisconfigurationError,
    TimeLimits,
    TransientError,
    resolve_api_url,
)

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
        resolve_api_url(url), "K1", "secret", pool_size=32, version="1", time_limits=limits
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


def test_it_sends_two_calls_over_one_connection() -> None:
    with Recorder(http("204 No Content").replace(b"Content-Length: 0\r\n", b"")) as server:
        with client_of(server) as client:
            client.acknowledge(ORDER_ID, idempotency_key="key-1")
            client.acknowledge(ORDER_ID, idempotency_key="key-2")
        assert server.connections == 1
    first, second = server.requests
    assert first.startswith(f"POST /ordermanagement/v1/orders/{ORDER_ID}/acknowledge HTTP/1.1\r\n")
    assert headers_of(first) == {
        "Host": server.url.removeprefix("http://"),
        "Accept-Encoding": "identity",
        "User-Agent": "klarna-ack/1",
        "Accept": "application/json",
        "Authorization": "Basic SzE6c2VjcmV0",
        "Klarna-Idempotency-Key": "key-1",
        "Content-Length": "0",
    }
    assert headers_of(second) == {**headers_of(first), "Klarna-Idempotency-Key": "key-2"}


def test_it_keeps_no_cookie() -> None:
    with Recorder(http("200 OK", ORDER, "Set-Cookie: a=b; Path=/")) as server:
        with client_of(server) as client:
            client.get_order(ORDER_ID)
            client.get_order(ORDER_ID)
        assert [headers_of(request).get("Cookie") for request in server.requests] == [None, None]


def test_it_does_not_notice_that_an_idle_connection_was_closed() -> None:
    gone = threading.Event()

    def answer_once(line: RawLine) -> None:
        line.request()
        line.say(OK)
        line.sock.close()
        gone.set()

    with RawServer(answer_once) as server, client_of(server) as client:
        client.get_order(ORDER_ID)
        assert gone.wait(IN_TIME_S)
        assert client.get_order(ORDER_ID).order_id == ORDER_ID
        assert server.connections == 2


def test_it_reports_a_reset_and_does_not_try_again() -> None:
    def reset(line: RawLine) -> None:
        line.request()
        line.reset()

    with RawServer(reset) as server, client_of(server) as client:
        assert no_answer(client) == "connection reset"
        assert server.connections == 1


def test_it_reports_a_connection_closed_without_an_answer() -> None:
    def hang_up(line: RawLine) -> None:
        line.request()

    with RawServer(hang_up) as server, client_of(server) as client:
        assert no_answer(client) == "connection reset"


def test_it_reports_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with client_of(f"http://127.0.0.1:{port}") as client:
        assert no_answer(client) == "connection refused"


def test_it_reports_a_name_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with client_of("http://klarna.invalid") as client:
        assert no_answer(client) == "host name not found"


@pytest.mark.parametrize(
    "answer",
    [
        OK[:-5],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n{}",
        b"HTTP/1.1 abc\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
    ],
    ids=lambda answer: repr(answer[:60]),
)
def test_it_reports_a_broken_answer(answer: bytes) -> None:
    def say_it(line: RawLine) -> None:
        line.request()
        line.say(answer)

    with RawServer(say_it) as server, client_of(server) as client:
        assert no_answer(client).startswith("connection ")


def test_it_reads_no_more_than_the_cap() -> None:
    def flood(line: RawLine) -> None:
        line.request()
        line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        while True:
            line.say(b" " * 1_000_000)

    with (
        RawServer(flood) as server,
        client_of(server) as client,
        pytest.raises(TransientError, match="unreadable answer"),
    ):
        client.get_order(ORDER_ID)


def test_it_does_not_unpack_what_it_did_not_ask_for() -> None:
    bomb = http("200 OK", b"\x1f\x8b\x08\x00", "Content-Encoding: gzip")
    with (
        Recorder(bomb) as server,
        client_of(server) as client,
        pytest.raises(TransientError, match="unreadable answer"),
    ):
        client.get_order(ORDER_ID)


def test_it_never_follows_a_redirect() -> None:
    with Recorder(http("307 Temporary Redirect", b"", "Location: /elsewhere")) as server:
        with client_of(server) as client, pytest.raises(MisconfigurationError) as caught:
            client.acknowledge(ORDER_ID, idempotency_key="key-1")
        assert caught.value.cause is MisconfigurationCause.REDIRECTED
        assert len(server.requests) == 1


def test_it_lets_no_netrc_replace_the_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password stolen\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with Recorder() as server, client_of(server) as client:
        client.get_order(ORDER_ID)
        assert headers_of(server.requests[0])["Authorization"] == "Basic SzE6c2VjcmV0"


def test_it_reads_the_proxy_once_when_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with Recorder() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        with client_of("http://klarna.test") as client:
            monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
            client.get_order(ORDER_ID)
    assert proxy.requests[0].startswith(
        f"GET http://klarna.test/ordermanagement/v1/orders/{ORDER_ID} "
    )


def test_it_serves_many_threads_with_one_connection_for_each() -> None:
    together = threading.Barrier(32)
    with Recorder() as server, client_of(server) as client, ThreadPoolExecutor(32) as pool:

        def work(_: int) -> int:
            together.wait(IN_TIME_S)
            return sum(client.get_order(ORDER_ID).order_id == ORDER_ID for _ in range(20))

        assert list(pool.map(work, range(32))) == [20] * 32
        assert len(server.requests) == 640
        assert server.connections <= 32


def test_it_leaves_neither_thread_nor_connection_behind() -> None:
    hung_up = threading.Event()

    def answer_until_hung_up(line: RawLine) -> None:
        while line.request():
            line.say(OK)
        hung_up.set()

    with RawServer(answer_until_hung_up) as server:
        with client_of(server) as client:
            client.get_order(ORDER_ID)
            assert "klarna-deadlines" in thread_names()
        assert hung_up.wait(IN_TIME_S)
    assert "klarna-deadlines" not in thread_names()


def test_it_raises_nothing_but_its_own_errors_whatever_a_server_says() -> None:
    answer = b""

    def say_it(line: RawLine) -> None:
        line.request()
        line.say(answer)

    with RawServer(say_it) as server, client_of(server) as client:

        @settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
        @given(
            start=st.sampled_from(
                [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 404 \r\nContent-Length: "]
            ),
            rest=st.lists(
                st.binary(max_size=20)
                | st.sampled_from([b"\r\n", b"\r\n\r\n", b"Transfer-Encoding: chunked\r\n", ORDER])
            ),
        )
        def any_answer(start: bytes, rest: list[bytes]) -> None:
            nonlocal answer
            answer = start + b"".join(rest)
            with suppress(KlarnaError):
                client.get_order(ORDER_ID)

        any_answer()
