"""The hand-over against a shop that says exactly what a test tells it, byte by byte."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from pydantic import SecretStr

from klarna import Order
from klarna.deadlines import TimeLimits
from pushes.accounts.policies import HandOver, Style
from pushes.model import Entry, State
from tests.builders import a_push
from tests.raw_http import IN_TIME_S, LONG_S, RawLine, RawServer, http
from worker.attempt.failures import MerchantFailedError, RefusedByMerchantError
from worker.attempt.hand_over import shop
from worker.attempt.hand_over.shop import MerchantSystem, References

SECRET = "whsec_" + "AAAA" * 8
PUSH = a_push(State.RUNNING)
AN_ORDER = Order(
    order_id=PUSH.key.order_id,
    status="AUTHORIZED",
    fraud_status="ACCEPTED",
    order_amount=10_000,
    captured_amount=0,
    refunded_amount=0,
    remaining_authorized_amount=10_000,
    purchase_currency="SEK",
    expires_at=None,
    klarna_reference="K4LMR8EF",
    merchant_reference1=None,
    merchant_reference2=None,
)


def take(line: RawLine) -> str:
    """Read one request to its end; empty when the client hung up."""
    received = b""
    while not (head := re.search(rb"Content-Length: (\d+)\r\n(?s:.*?)\r\n\r\n", received)):
        if not (chunk := line.sock.recv(65536)):
            return ""
        received += chunk
    while len(received) < head.end() + int(head[1]):
        received += line.sock.recv(65536)
    return received.decode()


def saying(answer: bytes) -> Callable[[RawLine], None]:
    """Answer so, and close the connection."""

    def talk(line: RawLine) -> None:
        if take(line):
            line.say(answer)

    return talk


@contextmanager
def merchant_at(server: RawServer) -> Iterator[MerchantSystem]:
    hand_over = HandOver(
        allow_private=True,
        url=SecretStr(server.url + "/orders"),
        style=Style.SIGNED,
        secret=SecretStr(SECRET),
    )
    with closing(MerchantSystem(hand_over, pool_size=2, user_agent="klarna-ack/1")) as merchant:
        yield merchant


def hand_over(talk: Callable[[RawLine], None]) -> tuple[References, Entry]:
    """Hand an order over; what came back, and the call as the timeline has it."""
    entries: list[Entry] = []
    with RawServer(talk) as server, merchant_at(server) as merchant:
        found = merchant.hand_over(PUSH, AN_ORDER, entries)
    (entry,) = entries
    return found, entry


NO_REFERENCES = [
    http("204 No Content").replace(b"Content-Length: 0\r\n", b""),
    http("200 OK"),
    http("202 Accepted", b"\xff\xfe\x00"),
    http("200 OK", b"<html></html>"),
    http("200 OK", b"[" * 60_000),
    http("200 OK", b'{"merchant_reference1": ' + b"9" * 60_000 + b"}"),
    http("200 OK", b'["merchant_reference1"]'),
    http("200 OK", b'{"merchant_reference1": 17, "merchant_reference2": {"a": 1}}'),
    http("200 OK", b'{"merchant_reference1": "", "merchant_reference2": " "}'),
    http("200 OK", b'{"merchant_reference1": "\\ud800", "merchant_reference2": "a\\nb"}'),
    http("200 OK", b'{"merchant_reference1": "' + b"x" * 256 + b'"}'),
    http("200 OK", b'{"merchant_reference1": "S-1", "pad": "' + b"x" * 65_536 + b'"}'),
    http("200 OK", b"\x1f\x8b\x08\x00", "Content-Encoding: gzip"),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("answer", NO_REFERENCES, ids=lambda answer: repr(answer[:60]))
def test_a_2xx_is_a_yes_whatever_it_says(answer: bytes) -> None:
    found, entry = hand_over(saying(answer))

    assert found == References()
    assert entry.http_status == int(answer[9:12])
    assert entry.detail is None


def test_it_reads_references_after_a_byte_order_mark() -> None:
    said = b'\xef\xbb\xbf{"merchant_reference1": " S-1 ", "merchant_reference2": "\xc3\xa5"}'
    assert hand_over(saying(http("201 Created", said)))[0] == References("S-1", "å")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ""),
        (b"\xff\x00\x1b[31m", ": \ufffd\ufffd\ufffd[31m"),
        (b'{"reason": "\\ud800\\u202e"}', ": \ufffd\ufffd"),
        (b'{"reason": {"a": 1}, "message": "sold out"}', ": sold out"),
        (b"[" * 60_000, ": " + "[" * 162),
    ],
)
def test_a_refusal_says_what_can_be_written_down(body: bytes, words: str) -> None:
    with pytest.raises(RefusedByMerchantError) as caught:
        hand_over(saying(http("409 Conflict", body)))

    assert str(caught.value) == f"the shop refuses the order, HTTP 409{words}"
    assert str(caught.value).encode()


NO_ANSWER = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "half a body": http("200 OK", b"{}").replace(b"Length: 2", b"Length: 20"),
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{}",
    "a header without an end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    "headers without an end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000,
}


@pytest.mark.parametrize("answer", NO_ANSWER)
def test_an_answer_that_breaks_off_is_none(answer: str) -> None:
    with pytest.raises(MerchantFailedError, match="the shop gave no answer: "):
        hand_over(saying(NO_ANSWER[answer]))


@pytest.mark.parametrize(
    "begin", [b"HTTP/1.1 200 OK\r\nX: y", b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n{}"]
)
def test_an_answer_without_an_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch, begin: bytes
) -> None:
    monkeypatch.setattr(shop, "_LIMITS", TimeLimits(connect_s=LONG_S, read_s=LONG_S, total_s=0.5))

    def drip(line: RawLine) -> None:
        take(line)
        line.say(begin)
        line.drip(b"")

    began = time.monotonic()
    with pytest.raises(MerchantFailedError, match="the shop gave no answer: "):
        hand_over(drip)
    assert time.monotonic() - began < IN_TIME_S


def test_an_endless_answer_takes_no_more_than_its_cap() -> None:
    def pour(line: RawLine) -> None:
        take(line)
        line.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not line.closing_down.is_set():
            line.say(b"10000\r\n" + b" " * 65_536 + b"\r\n")

    assert hand_over(pour)[0] == References()


def test_a_connection_that_the_shop_closed_meanwhile_is_not_noticed() -> None:
    entries: list[Entry] = []
    gone = threading.Event()

    def answer_once(line: RawLine) -> None:
        take(line)
        line.say(http("200 OK"))
        line.sock.close()
        gone.set()

    with RawServer(answer_once) as server, merchant_at(server) as merchant:
        for _ in range(3):
            merchant.hand_over(PUSH, AN_ORDER, entries)
            assert gone.wait(IN_TIME_S)
            gone.clear()

    assert [entry.http_status for entry in entries] == [200, 200, 200]
