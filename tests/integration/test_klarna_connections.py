"""Which connections carry another call, which are dropped, and the ways around proxies."""

import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from klarna import KlarnaError, TimeLimits, TransientError
from tests.raw_http import (
    IN_TIME_S,
    OK,
    ORDER,
    ORDER_ID,
    RawLine,
    RawServer,
    Recorder,
    client_of,
    headers_of,
    http,
    no_answer,
    trusting,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
    len(ORDER),
    ORDER,
)


def two_calls_over(server: RawServer) -> int:
    """Get an order twice; the number of connections that took."""
    with server, client_of(server) as client:
        for _ in range(2):
            assert client.get_order(ORDER_ID).order_id == ORDER_ID
        return server.connections


def in_pieces(*pieces: bytes) -> RawServer:
    """Say each piece only once the one before was surely read alone."""

    def talk(line: RawLine) -> None:
        while line.request():
            for piece in pieces:
                line.say(piece)
                line.closing_down.wait(0.05)

    return RawServer(talk)


LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(ORDER)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SPARE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"  # what no call may take for its own


@pytest.mark.parametrize(
    "server",
    [
        Recorder(),
        Recorder(CHUNKED),
        Recorder(CHUNKED.replace(b"\r\n0\r\n", b"\r\n0\r\nT: x\r\n")),
        Recorder(CHUNKED.replace(b"%x\r\n" % len(ORDER), b"%x;x=y\r\n" % len(ORDER))),
        Recorder(CONTINUE + OK),
        Recorder(CONTINUE * 3 + CHUNKED),
        Recorder(LENGTH + b"X: " + b"y" * 20_000 + b"\r\n\r\n" + ORDER),
        in_pieces(OK[:30], OK[30:-10], OK[-10:]),
        in_pieces(CHUNKED[:30], CHUNKED[30:-10], CHUNKED[-10:]),
        in_pieces(CONTINUE, OK),
    ],
    ids=[
        *("length", "chunks", "a trailer", "a chunk's extension", "after 100", "after 100s"),
        *("a long head", "in pieces", "chunks in pieces", "long after 100"),
    ],
)
def test_it_keeps_a_connection_after_a_clear_answer(server: RawServer) -> None:
    assert two_calls_over(server) == 1


@pytest.mark.parametrize("length", [b"", b"Content-Length: 0\r\n"])
def test_it_keeps_a_connection_after_an_acceptance(length: bytes) -> None:
    with Recorder(b"HTTP/1.1 204 No Content\r\n" + length + b"\r\n") as server:
        with client_of(server) as client:
            client.acknowledge(ORDER_ID, idempotency_key="key-1")
            client.acknowledge(ORDER_ID, idempotency_key="key-2")
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        http("200 OK", ORDER, "Connection: close"),
        CHUNKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1),
        OK + SPARE,
        CHUNKED + SPARE,
        CONTINUE + OK + SPARE,
        OK + b"x",
        OK + b"x" * 20_000,
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        LENGTH.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\n\r\n" + ORDER,
        http("200 OK", ORDER, f"Content-Length: {len(ORDER)}"),
        LENGTH.replace(b": ", b": +") + b"\r\n" + ORDER,
        LENGTH + CHUNKED.partition(b"\r\n")[2],
        LENGTH + b"no colon\r\n\r\n" + ORDER,
        LENGTH + b"Transfer-Encoding: gzip\r\n\r\n" + ORDER,
    ],
    ids=lambda answer: repr(answer[:80]),
)
def test_it_drops_a_connection_that_may_be_out_of_step(answer: bytes) -> None:
    assert two_calls_over(Recorder(answer)) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n" + SPARE,
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
    ],
    ids=repr,
)
def test_it_drops_a_connection_where_a_body_may_follow(answer: bytes) -> None:
    with Recorder(answer) as server:
        with client_of(server) as client:
            for key in ("key-1", "key-2"):
                with suppress(KlarnaError):
                    client.acknowledge(ORDER_ID, idempotency_key=key)
        assert server.connections == 2


def test_it_never_takes_a_late_byte_for_the_next_answer() -> None:
    late = threading.Event()

    def talk(line: RawLine) -> None:
        while line.request():
            line.say(OK)
            line.closing_down.wait(0.05)
            line.say(http("404 Not Found"))
            late.set()

    with RawServer(talk) as server, client_of(server) as client:
        client.get_order(ORDER_ID)
        assert late.wait(IN_TIME_S)
        assert client.get_order(ORDER_ID).order_id == ORDER_ID
        assert server.connections == 2


def test_it_drops_a_connection_after_a_broken_answer() -> None:
    answers = iter([OK[:-5], OK, OK])

    def talk(line: RawLine) -> None:
        while line.request():
            answer = next(answers)
            line.say(answer)
            if answer is not OK:
                return

    with RawServer(talk) as server, client_of(server) as client:
        assert no_answer(client).startswith("connection broken off")
        assert client.get_order(ORDER_ID).order_id == ORDER_ID
        assert client.get_order(ORDER_ID).order_id == ORDER_ID
        assert server.connections == 2


def test_it_drops_a_connection_after_a_time_out() -> None:
    answers = iter([b"", OK])

    def talk(line: RawLine) -> None:
        while line.request():
            line.say(next(answers))

    limits = TimeLimits(connect_s=IN_TIME_S, read_s=0.2, total_s=IN_TIME_S)
    with RawServer(talk) as server, client_of(server, limits) as client:
        assert no_answer(client) == "time-out"
        assert client.get_order(ORDER_ID).order_id == ORDER_ID
        assert server.connections == 2


def test_it_hears_the_answer_of_a_server_that_hangs_up_at_once() -> None:
    def talk(line: RawLine) -> None:
        line.say(http("503 Service Unavailable", b"", "Connection: close"))
        line.request()

    with RawServer(talk) as server, client_of(server) as client:
        with pytest.raises(TransientError) as caught:
            client.get_order(ORDER_ID)
        assert caught.value.exchange
        assert caught.value.exchange.http_status == 503


@pytest.fixture
def tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ssl.SSLContext:
    return trusting(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("answer", "connections"),
    [(OK, 1), (CHUNKED, 1), (OK + b"x", 2), (CHUNKED + b"x", 2), (OK + b"x" * 20_000, 2)],
    ids=["plain", "chunked", "more", "more than chunks", "much more"],
)
def test_it_looks_behind_an_answer_in_tls(
    tls: ssl.SSLContext, answer: bytes, connections: int
) -> None:
    assert two_calls_over(Recorder(answer, tls)) == connections


class Proxy(RawServer):
    """Opens tunnels to where it is asked to; `requests` holds how it was asked."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(self._tunnel, tls)

    def _tunnel(self, line: RawLine) -> None:
        self.requests.append(line.request())
        host, _, port = self.requests[-1].split(" ")[1].partition(":")
        with socket.create_connection((host, int(port))) as there:
            line.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _carry(line.sock, there)


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Hand on in one thread what either says: a TLS socket must not be used by two at a time."""
    ends = {one: other, other: one}
    while True:
        for source in select.select(list(ends), [], [])[0]:
            received = source.recv(65536)  # more than a TLS record holds: nothing is left unseen
            if not received:
                return
            ends[source].sendall(received)


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("no_proxy", "")
    return monkeypatch


def test_it_tunnels_to_a_host_in_tls(through: pytest.MonkeyPatch, tls: ssl.SSLContext) -> None:
    with Proxy() as proxy, Recorder(tls=tls) as server:
        through.setenv("https_proxy", proxy.url.replace("://", "://ada:pass@"))
        with client_of(server) as client:
            client.get_order(ORDER_ID)
            client.get_order(ORDER_ID)
        assert (proxy.connections, server.connections) == (1, 1)
    assert proxy.requests[0].startswith(f"CONNECT 127.0.0.1:{server.port} ")
    assert headers_of(proxy.requests[0])["Proxy-Authorization"] == "Basic YWRhOnBhc3M="
    assert server.requests[0].startswith(f"GET /ordermanagement/v1/orders/{ORDER_ID} ")
    heard = headers_of(server.requests[0])
    assert (heard["Host"], "Proxy-Authorization" in heard) == (f"127.0.0.1:{server.port}", False)


def test_it_tells_a_proxy_that_forwards_who_it_is(through: pytest.MonkeyPatch) -> None:
    with Recorder() as proxy:
        through.setenv("http_proxy", proxy.url.replace("://", "://ada:pass@"))
        with client_of("http://klarna.test:8080/base") as client:
            client.get_order(ORDER_ID)
            client.get_order(ORDER_ID)
        assert proxy.connections == 1
    line, _, _ = proxy.requests[0].partition("\r\n")
    assert line == (
        f"GET http://klarna.test:8080/base/ordermanagement/v1/orders/{ORDER_ID} HTTP/1.1"
    )
    heard = headers_of(proxy.requests[0])
    assert heard["Host"] == "klarna.test:8080"
    assert heard["Proxy-Authorization"] == "Basic YWRhOnBhc3M="


@pytest.mark.parametrize(
    ("answer", "connections"),
    [(OK, 1), (CHUNKED, 1), (OK + b"x", 2), (CHUNKED + b"x", 2)],
    ids=["plain", "chunked", "more", "more than chunks"],
)
def test_it_speaks_tls_to_a_proxy_too(
    through: pytest.MonkeyPatch, tls: ssl.SSLContext, answer: bytes, connections: int
) -> None:
    with Proxy(tls) as proxy:
        through.setenv("https_proxy", proxy.url)
        assert two_calls_over(Recorder(answer, tls)) == connections
        assert proxy.connections == connections


def test_it_notices_the_end_behind_a_proxy_in_tls(
    through: pytest.MonkeyPatch, tls: ssl.SSLContext
) -> None:
    def say_half_of_it(line: RawLine) -> None:
        line.request()
        line.say(OK[:-5])

    with Proxy(tls) as proxy, RawServer(say_half_of_it, tls) as server:
        through.setenv("https_proxy", proxy.url)
        with client_of(server) as client:
            assert no_answer(client).startswith("connection broken off")


def test_it_reports_a_proxy_that_refuses(through: pytest.MonkeyPatch) -> None:
    with Recorder(http("407 Proxy Authentication Required")) as proxy:
        through.setenv("https_proxy", proxy.url)
        with client_of("https://klarna.test") as client:
            assert no_answer(client).startswith("proxy: Tunnel connection failed: 407")


@pytest.mark.parametrize("fault", [OSError("gone"), KeyboardInterrupt()])
def test_it_gives_the_place_in_the_pool_back(
    monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    with Recorder() as server, client_of(server) as client:
        with monkeypatch.context() as broken:
            broken.setattr(socket, "getaddrinfo", _raising(fault))
            for _ in range(40):  # more than the pool has places
                with suppress(KlarnaError, KeyboardInterrupt):
                    client.get_order(ORDER_ID)
        for _ in range(2):
            client.get_order(ORDER_ID)
        assert server.connections == 1


def _raising(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail
