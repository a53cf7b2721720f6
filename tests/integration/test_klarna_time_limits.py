"""However slowly a server speaks, a call ends when its time is up."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from devtools.local.processes import poll
from klarna import TimeLimits
from tests.raw_http import (
    IN_TIME_S,
    LONG_S,
    OK,
    ORDER,
    ORDER_ID,
    RawLine,
    RawServer,
    Recorder,
    Talk,
    client_of,
    no_answer,
    trusting,
)

HALF_A_SECOND = TimeLimits(connect_s=LONG_S, read_s=LONG_S, total_s=0.5)


def drip_headers(line: RawLine) -> None:
    line.request()
    line.drip(OK)


def drip_an_endless_header(line: RawLine) -> None:
    line.request()
    line.say(b"HTTP/1.1 200 OK\r\nX-Filler: ")
    line.drip(b"")


def drip_the_body(line: RawLine) -> None:
    line.request()
    line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
    line.drip(ORDER)


def drip_a_body_that_ends_with_the_connection(line: RawLine) -> None:
    line.request()
    line.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + ORDER)
    line.drip(b"")


def drip_the_second_answer(line: RawLine) -> None:
    line.request()
    line.say(OK)
    drip_the_body(line)


def go_on_for_ever(line: RawLine) -> None:
    line.request()
    while not line.closing_down.wait(0.01):
        line.say(b"HTTP/1.1 100 Continue\r\n\r\n")


DRIPS = [
    drip_headers,
    drip_an_endless_header,
    drip_the_body,
    drip_a_body_that_ends_with_the_connection,
    go_on_for_ever,
]


@pytest.mark.parametrize("talk", DRIPS)
def test_it_ends_a_call_that_takes_too_long(talk: Talk) -> None:
    with RawServer(talk) as server, client_of(server, HALF_A_SECOND) as client:
        started_s = time.monotonic()
        assert no_answer(client) == "time-out"
        assert 0.5 <= time.monotonic() - started_s < IN_TIME_S


def test_it_ends_a_call_on_a_connection_kept_alive() -> None:
    with RawServer(drip_the_second_answer) as server, client_of(server, HALF_A_SECOND) as client:
        client.get_order(ORDER_ID)
        assert no_answer(client) == "time-out"
        assert client.get_order(ORDER_ID).order_id == ORDER_ID
        assert server.connections == 2


def test_it_ends_a_call_that_waits_for_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    def drip_the_tunnel(line: RawLine) -> None:
        line.request()
        line.drip(b"HTTP/1.1 200 Connection established\r\nX-Filler: ")

    with RawServer(drip_the_tunnel) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        with client_of("https://klarna.test", HALF_A_SECOND) as client:
            assert no_answer(client) == "time-out"


def test_it_ends_a_handshake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trusting(monkeypatch, tmp_path)
    with (
        RawServer(lambda line: line.drip(b"\x16\x03\x01\x02\x00")) as server,
        client_of(f"https://127.0.0.1:{server.port}", HALF_A_SECOND) as client,
    ):
        assert no_answer(client) == "time-out"


def test_it_ends_a_tunnel_through_a_proxy_in_tls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def drip_the_tunnel(line: RawLine) -> None:
        line.request()
        line.drip(b"HTTP/1.1 200 Connection established\r\nX-Filler: ")

    with RawServer(drip_the_tunnel, trusting(monkeypatch, tmp_path)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        with client_of("https://klarna.test", HALF_A_SECOND) as client:
            assert no_answer(client) == "time-out"


@pytest.mark.parametrize("is_tls", [False, True])
def test_it_ends_a_handshake_inside_a_tunnel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_tls: bool
) -> None:
    def drip_in_the_tunnel(line: RawLine) -> None:
        line.request()
        line.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
        line.drip(b"\x16\x03\x01\x02\x00")

    tls = trusting(monkeypatch, tmp_path) if is_tls else None
    with RawServer(drip_in_the_tunnel, tls) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        with client_of("https://klarna.test", HALF_A_SECOND) as client:
            assert no_answer(client) == "time-out"


@pytest.fixture
def hanging_lookup(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Make every lookup hang until the test is over; what was looked up."""
    over = threading.Event()
    asked: list[object] = []

    def hang(*args: object) -> None:
        asked.append(args)
        over.wait(LONG_S)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield asked
    over.set()
    # Who asks for the same name next must not get this lookup's answer.
    poll(lambda: all(thread.name != "klarna-lookup" for thread in threading.enumerate()))


def test_it_ends_a_call_that_waits_for_a_name(hanging_lookup: list[object]) -> None:
    with client_of("http://klarna.test", HALF_A_SECOND) as client:
        started_s = time.monotonic()
        assert no_answer(client) == "time-out"
        assert 0.5 <= time.monotonic() - started_s < IN_TIME_S
    assert len(hanging_lookup) == 1


def test_it_looks_a_name_up_once_for_all_who_wait(hanging_lookup: list[object]) -> None:
    with client_of("http://klarna.test", HALF_A_SECOND) as client, ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: no_answer(client), range(16))) == {"time-out"}
    assert len(hanging_lookup) == 1


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Listen where no connection is taken: the queue of those who wait is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            with suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield listener.getsockname()[1]


def at_addresses(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Make the host klarna.test have these addresses."""
    look_up = socket.getaddrinfo

    def found(host: str, *rest: Any) -> list[Any]:  # noqa: ANN401 - getaddrinfo's own
        hosts = addresses if host == "klarna.test" else (host,)
        return [one for host in hosts for one in look_up(host, *rest)]

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.mark.parametrize("connect_s", [0.3, LONG_S])
def test_it_ends_a_call_to_a_host_of_many_silent_addresses(
    monkeypatch: pytest.MonkeyPatch, silent_port: int, connect_s: float
) -> None:
    at_addresses(monkeypatch, *["127.0.0.1"] * 50)
    limits = TimeLimits(connect_s=connect_s, read_s=LONG_S, total_s=0.5)
    with client_of(f"http://klarna.test:{silent_port}", limits) as client:
        started_s = time.monotonic()
        assert no_answer(client) == "time-out"
        assert 0.5 <= time.monotonic() - started_s < 3


def test_it_takes_the_first_address_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    at_addresses(monkeypatch, "127.0.0.2", "127.0.0.3", "127.0.0.1")
    with Recorder() as server, client_of(f"http://klarna.test:{server.port}") as client:
        assert client.get_order(ORDER_ID).order_id == ORDER_ID


def test_it_ends_a_call_to_a_silent_server_sooner() -> None:
    def stay_silent(line: RawLine) -> None:
        while line.request():
            pass

    limits = TimeLimits(connect_s=LONG_S, read_s=0.2, total_s=LONG_S)
    with RawServer(stay_silent) as server, client_of(server, limits) as client:
        assert no_answer(client) == "time-out"


def test_it_ends_every_call_at_its_own_time() -> None:
    with (
        RawServer(drip_the_body) as server,
        client_of(server, HALF_A_SECOND) as client,
        ThreadPoolExecutor(16) as pool,
    ):
        started_s = time.monotonic()
        assert set(pool.map(lambda _: no_answer(client), range(32))) == {"time-out"}
        assert 1.0 <= time.monotonic() - started_s < IN_TIME_S


# In a process of its own: a fork takes no thread along, the one that ends calls included.
FORKED = """
import os, sys
from klarna import KlarnaClient, KlarnaError, TimeLimits, resolve_api_url

limits = TimeLimits(connect_s=60, read_s=60, total_s=0.5)
client = KlarnaClient(
    resolve_api_url(sys.argv[1]), "u", "p", pool_size=1, time_limits=limits
)
for who in ("parent", "child"):
    try:
        client.get_order("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")
    except KlarnaError as error:
        print(who, error, flush=True)
    if who == "parent" and os.fork():
        os.wait()
        break
"""


def test_it_ends_calls_of_a_forked_process_too() -> None:
    with RawServer(drip_the_body) as server:
        command = [sys.executable, "-W", "ignore", "-c", FORKED, server.url]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert ran.stdout == "parent no answer: time-out\nchild no answer: time-out\n"
