"""The client against a server that says exactly what a test tells it, byte by byte."""

import socket
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from klarna import (
    KlarnaError,
    MisconfigurationCause,
    MisconfigurationError,
    TransientError,
    make_clients,
)
from klarna.answers import MAX_BODY_BYTES
from pushes.accounts.settings import Account
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
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


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
        CHUNKED + b"8\r\n{\r\n",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"3\r\nab",
        CHUNKED + b"-1\r\n" + ORDER,
        CHUNKED + b"-5\r\n" + ORDER,
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\n{}",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\r\n" + OK,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
    ],
    ids=lambda answer: repr(answer[:80]),
)
def test_it_reports_a_broken_answer(answer: bytes) -> None:
    def say_it(line: RawLine) -> None:
        line.request()
        line.say(answer)

    with RawServer(say_it) as server, client_of(server) as client:
        assert no_answer(client).startswith("connection ")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 204 No Content",
        b"HTTP/1.1 204 No Content\r\n",
        b"HTTP/1.1 204 No Content\r\nX: y",
        b"HTTP/1.1 204 No Content\r\nX: y\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n",
    ],
    ids=repr,
)
def test_it_takes_no_torn_head_for_an_acceptance(head: bytes) -> None:
    def say_it(line: RawLine) -> None:
        line.request()
        line.say(head)

    with (
        RawServer(say_it) as server,
        client_of(server) as client,
        pytest.raises(TransientError, match="connection broken off"),
    ):
        client.acknowledge(ORDER_ID, idempotency_key="key-1")


def padded(size: int) -> bytes:
    """The order in a body of so many bytes."""
    return ORDER[:-1] + b" " * (size - len(ORDER)) + b"}"


@pytest.mark.parametrize("framing", ["length", "chunks", "end"])
@pytest.mark.parametrize("more", [0, 1])
def test_it_reads_up_to_the_cap(framing: str, more: int) -> None:
    body = padded(MAX_BODY_BYTES + more)
    answers = {
        "length": http("200 OK", body),
        "chunks": CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
        "end": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body,
    }

    def say_it(line: RawLine) -> None:
        line.request()
        line.say(answers[framing])

    with RawServer(say_it) as server, client_of(server) as client:
        if not more:
            assert client.get_order(ORDER_ID).order_id == ORDER_ID
            return
        with pytest.raises(TransientError, match="unreadable answer"):
            client.get_order(ORDER_ID)


def endless(head: bytes, piece: bytes) -> RawServer:
    def flood(line: RawLine) -> None:
        line.request()
        line.say(head)
        while True:
            line.say(piece)

    return RawServer(flood)


@pytest.mark.parametrize(
    "server",
    [
        endless(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b"{" * 1_000),
        endless(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 1_000),
        endless(CHUNKED, b"8\r\n{      }\r\n" * 1_000),
        endless(CHUNKED + b"7fffffffffffffff\r\n", b" " * 1_000),
        endless(CHUNKED + b"-1\r\n", b" " * 1_000),
    ],
    ids=["length", "end", "small chunks", "large chunk", "negative chunk"],
)
def test_it_holds_little_more_than_the_cap_of_an_endless_answer(server: RawServer) -> None:
    with server, client_of(server) as client:
        tracemalloc.start()
        try:
            with pytest.raises(TransientError):
                client.get_order(ORDER_ID)
            assert tracemalloc.get_traced_memory()[1] < 2 * MAX_BODY_BYTES
        finally:
            tracemalloc.stop()


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


def test_it_hangs_up_when_it_is_closed() -> None:
    hung_up = threading.Event()

    def answer_until_hung_up(line: RawLine) -> None:
        while line.request():
            line.say(OK)
        hung_up.set()

    with RawServer(answer_until_hung_up) as server:
        with client_of(server) as client:
            client.get_order(ORDER_ID)
        assert hung_up.wait(IN_TIME_S)


def test_it_shares_the_connections_of_all_accounts_of_one_api() -> None:
    with Recorder() as server, Recorder() as elsewhere:
        accounts = {
            "one": Account(server.url, "K1", SecretStr("secret")),
            "two": Account(server.url, "K2", SecretStr("other")),
            "far": Account(elsewhere.url, "K3", SecretStr("third")),
        }
        clients = make_clients(accounts, pool_size=1, version="1")
        for name in ("one", "two", "far", "one"):
            clients[name].get_order(ORDER_ID)
        for client in clients.values():
            client.close()
        assert (server.connections, elsewhere.connections) == (1, 1)
    assert [headers_of(request)["Authorization"] for request in server.requests] == [
        "Basic SzE6c2VjcmV0",
        "Basic SzI6b3RoZXI=",
        "Basic SzE6c2VjcmV0",
    ]


def test_it_needs_one_thread_for_all_clients() -> None:
    with Recorder() as server, ExitStack() as clients:
        for client in [clients.enter_context(client_of(server)) for _ in range(50)]:
            client.get_order(ORDER_ID)
        names = [one.name for one in threading.enumerate()]
    ours = [name for name in names if name.startswith("klarna-") and name != "klarna-lookup"]
    assert ours == ["klarna-deadlines"]  # a lookup's own thread may just be ending


@pytest.mark.parametrize(
    ("host", "sent"),
    [
        ("klarna.test", "klarna.test"),
        ("klarna.test.", "klarna.test"),
        ("m\N{LATIN SMALL LETTER U WITH DIAERESIS}ller.test", "xn--mller-kva.test"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_it_names_the_host_as_others_do(
    monkeypatch: pytest.MonkeyPatch, host: str, sent: str
) -> None:
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest: look_up("127.0.0.1", *rest))
    with Recorder() as server:
        with client_of(f"http://{host}:{server.port}") as client:
            client.get_order(ORDER_ID)
        assert headers_of(server.requests[0])["Host"] == f"{sent}:{server.port}"


def test_it_raises_nothing_but_its_own_errors_whatever_a_server_says() -> None:
    answer = b""

    def say_it(line: RawLine) -> None:
        line.request()
        line.say(answer)

    with RawServer(say_it) as server, client_of(server) as client:

        @settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
        @given(
            start=st.sampled_from(
                [
                    b"",
                    b"HTTP/1.1 200 OK\r\n",
                    b"HTTP/1.1 404 \r\nContent-Length: ",
                    CHUNKED,
                    CHUNKED + b"-",
                ]
            ),
            rest=st.lists(
                st.binary(max_size=20)
                | st.sampled_from([b"\r\n", b"\r\n\r\n", b"Transfer-Encoding: chunked\r\n", ORDER])
                | st.integers(-20, 20).map(lambda size: b"%x\r\n" % size)
            ),
        )
        def any_answer(start: bytes, rest: list[bytes]) -> None:
            nonlocal answer
            answer = start + b"".join(rest)
            with suppress(KlarnaError):
                client.get_order(ORDER_ID)

        any_answer()


# Run in a process of its own, whose limits it may spoil.
EXHAUSTED = """
import os, resource, sys
from klarna import KlarnaClient, LocalError, TimeLimits, resolve_api_url

client = KlarnaClient(resolve_api_url(sys.argv[1]), "u", "p", pool_size=1)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
try:
    client.get_order("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")
except LocalError as error:
    os.close(held[0])
    print(f"{error} | {error.exchange.error} | {error.exchange.http_status}")
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "klarna.invalid"])
def test_it_calls_it_ours_when_no_file_can_be_opened(host: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", EXHAUSTED, f"http://{host}:1"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert ran.stdout == (
        "no call: too many open files; raise this process's limit of open files"
        " (LimitNOFILE, ulimit -n) | too many open files | None\n"
    )
