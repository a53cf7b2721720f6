"""However slowly a server speaks, a call ends when its time is up."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from klarna import TimeLimits
from tests.integration.test_klarna_wire import (
    IN_TIME_S,
    LONG_S,
    OK,
    ORDER,
    ORDER_ID,
    RawLine,
    RawServer,
    Talk,
    client_of,
    no_answer,
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
