"""Whatever Klarna answers: an answer or an error of the tree, and an attempt that is settled."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis
from structlog.testing import capture_logs

from klarna import (
    Address,
    CaptureRequest,
    Exchange,
    KlarnaClient,
    KlarnaError,
    MerchantReferences,
    Observe,
)
from pushes.accounts.serving import Share
from pushes.model import State
from pushes.policy import OUTAGE_AFTER_FAILURES, RetryPolicy
from pushes.store import records
from pushes.store.ledger import Ledger
from tests.builders import NOW, ManualClock, a_key
from tests.raw_http import ORDER, ORDER_ID, RawLine, RawServer, client_of
from worker.attempt.acknowledge import ServedAccount
from worker.wiring import assemble

_KEY = "key-1"
Call = Callable[[KlarnaClient, Observe], object]
CALLS: dict[str, Call] = {
    "get_order": lambda client, seen: client.get_order(ORDER_ID, observe=seen),
    "get_order_details": lambda client, seen: client.get_order_details(ORDER_ID, observe=seen),
    "acknowledge": lambda client, seen: client.acknowledge(
        ORDER_ID, idempotency_key=_KEY, observe=seen
    ),
    "cancel": lambda client, seen: client.cancel(ORDER_ID, idempotency_key=_KEY, observe=seen),
    "update_merchant_references": lambda client, seen: client.update_merchant_references(
        ORDER_ID, MerchantReferences(merchant_reference1="1"), idempotency_key=_KEY, observe=seen
    ),
    "update_customer_details": lambda client, seen: client.update_customer_details(
        ORDER_ID, Address(city="Uppsala"), idempotency_key=_KEY, observe=seen
    ),
    "capture": lambda client, seen: client.capture(
        ORDER_ID, CaptureRequest(captured_amount=100), idempotency_key=_KEY, observe=seen
    ),
}

_FIELDS = (
    *("order_id", "status", "fraud_status", "order_amount", "captured_amount", "expires_at"),
    *("purchase_currency", "klarna_reference", "merchant_reference1", "order_lines", "captures"),
    *("error_code", "error_messages", "error_message", "correlation_id", "billing_address"),
)
_VALUES: tuple[object, ...] = (
    *(ORDER_ID, "AUTHORIZED", "CANCELLED", "PENDING", "NOT_ALLOWED", "9999-12-31T23:59:60Z"),
    *("\ud800", "\x00", 1e400, 10**30, -0.0, True, [], {}, None),
)
values = st.recursive(
    st.sampled_from(_VALUES) | st.text(max_size=20) | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_FIELDS) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
documents = st.dictionaries(st.sampled_from(_FIELDS), values, max_size=5).map(
    lambda facts: json.dumps({"order_id": ORDER_ID, "status": "AUTHORIZED"} | facts).encode()
)
bodies = (
    documents
    | st.sampled_from([ORDER, b"", b"{}", b"[" * 9000, b"<html></html>", ORDER[:20], b"\x1f\x8b"])
    | st.binary(max_size=60)
)
_HEADERS = (
    *(b"Content-Type", b"Klarna-Correlation-Id", b"Retry-After", b"Location", b"Capture-Id"),
    *(b"Content-Encoding", b"Transfer-Encoding", b"Content-Length", b"Set-Cookie", b"Connection"),
    *(b"Trailer", b"Upgrade", b"WWW-Authenticate"),
)
_WORDS = (
    *(b"application/json", b"text/html", b"gzip", b"deflate", b"br", b"chunked", b"close", b"-1"),
    *(b"120", b"1e9", b"Wed, 21 Oct 2015 07:28:00 GMT", b"http://[::1", b"//x/captures/c-2", b""),
)
headers = st.lists(
    st.tuples(
        st.sampled_from(_HEADERS) | st.binary(max_size=12),
        st.sampled_from(_WORDS) | st.binary(max_size=30),
    ),
    max_size=4,
)
statuses = (
    st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503])
    | st.integers(100, 999)
).map(lambda status: b"%d" % status) | st.binary(max_size=5)


_FRAMINGS = ("length", "length", "chunked", "until closed", "cut off", "bad chunk")


@dataclass(frozen=True)
class Said:
    """One answer, as bytes on the wire."""

    status: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    framing: str

    @property
    def wire(self) -> bytes:
        lines = [b"HTTP/1.1 %b Said" % self.status]
        lines += [name + b": " + value for name, value in self.headers]
        body = self.body
        match self.framing:
            case "length":
                lines.append(b"Content-Length: %d" % len(body))
            case "cut off":
                lines.append(b"Content-Length: %d" % (len(body) + 7))
            case "chunked":
                lines.append(b"Transfer-Encoding: chunked")
                body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
            case "bad chunk":
                lines.append(b"Transfer-Encoding: chunked")
        return b"\r\n".join([*lines, b"", body])


answers = st.builds(
    Said,
    status=statuses,
    headers=headers,
    body=bodies,
    framing=st.sampled_from(_FRAMINGS),
)
_GOOD = Said(b"200", [], ORDER, "length")
_WELL = Said(b"204", [], b"", "until closed")
_REFUSED = Said(b"403", [], b'{"error_code": "NOT_ALLOWED"}', "length")


@contextmanager
def opened(redis_url: str) -> Iterator[Callable[[], None]]:
    """A server that says what is drawn, a client that calls it, and the parts of a worker."""
    left: list[bytes] = []

    def talk(line: RawLine) -> None:
        _hear(line.sock)
        line.say(left.pop(0) if len(left) > 1 else left[0])

    with RawServer(talk) as server, client_of(server) as client, Redis.from_url(redis_url) as redis:

        @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
        @given(said=st.lists(answers, min_size=1, max_size=4), call=st.sampled_from([*CALLS, ""]))
        @example(said=[_GOOD, _WELL], call="")
        @example(said=[_GOOD, _REFUSED], call="")
        def holds(said: list[Said], call: str) -> None:
            left[:] = [one.wire for one in said]
            if call:
                _check_call(client, CALLS[call])
            else:
                redis.flushdb()
                _check_attempt(redis, client, said)

        yield holds


def _check_call(client: KlarnaClient, call: Call) -> None:
    seen: list[Exchange] = []
    try:
        call(client, seen.append)
        error = None
    except KlarnaError as raised:
        error = raised
    (exchange,) = seen
    if error is None:
        assert exchange.http_status in range(200, 300)
        assert exchange.error is None
    else:
        assert error.exchange is exchange
        assert exchange.error
        assert exchange.error.isprintable()
        assert len(exchange.error) <= 200
        assert "secret" not in f"{error} {exchange}"


def _check_attempt(redis: Redis, client: KlarnaClient, said: list[Said]) -> None:
    """One push, attempted and settled by the parts of a worker."""
    clock = ManualClock()
    parts = assemble(
        Ledger(redis),
        name="worker-1",
        accounts={"default": ServedAccount(client)},
        shares={"default": Share.of("default", 1_000_000)},
        retry_policy=RetryPolicy(),
        outage_after_failures=OUTAGE_AFTER_FAILURES,
        concurrency=1,
        redis_now=clock.now,
        clock=clock,
    )
    parts.serving.announce()
    key = a_key()
    key = type(key)(key.account, ORDER_ID)
    Ledger(redis).accept(key, NOW)
    with capture_logs() as logged:
        attempts = parts.starter.start(parts.claims.claim(1).claims)
        endings = [parts.acknowledger.run(attempt) for attempt in attempts]
        parts.settler.settle(endings)
    push = records.get(redis, key)
    assert push
    assert push.state not in {State.QUEUED, State.RUNNING}
    assert push.attempts == 1 or push.state in {State.HELD, State.RETRYING, State.QUEUED}
    assert [line for line in logged if re.search("failed_here|not_settled", line["event"])] == []
    lines = records.timeline(redis, key)
    assert "unreadable" not in {line.event for line in lines}
    if push.state is State.ACKNOWLEDGED:
        last = [line.http_status for line in lines if line.call][-1]
        assert last in range(200, 300)
        assert any(one.status.startswith(b"2") for one in said)


def _hear(sock: socket.socket) -> None:
    """Read one request to its end."""
    received = b""
    while b"\r\n\r\n" not in received and (more := sock.recv(65536)):
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length[1]) and (more := sock.recv(65536)):
        body += more
