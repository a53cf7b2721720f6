"""Klarna's side over HTTP: what stands in the headers, and connections, few and many."""

import http.client
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.sandboxes import (
    RIGHT,
    UNKNOWN_ID,
    RunningSandbox,
    basic,
    running,
    wait_for,
)

_CONNECTIONS = 200


@pytest.fixture(scope="module")
def klarna() -> Iterator[RunningSandbox]:
    yield from running()


@pytest.fixture(autouse=True)
def _fresh(klarna: RunningSandbox) -> None:
    klarna.control("POST", "reset")


def test_it_shows_an_order_as_klarna_does(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order(amount=12_345, currency="NOK")

    answer = klarna.get(order_id)

    order = answer.json()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert (order["order_id"], order["order_amount"]) == (order_id, 12_345)
    assert (order["purchase_currency"], order["status"]) == ("NOK", "AUTHORIZED")
    assert "acknowledged" not in order
    logged = klarna.last_request(order_id)
    assert answer.headers["Klarna-Correlation-Id"] == logged["correlation_id"]


def test_it_acknowledges_with_a_204_without_length_and_type(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order()

    answer = klarna.acknowledge(order_id)

    assert (answer.status, answer.body) == (204, b"")
    assert "Content-Length" not in answer.headers
    assert "Content-Type" not in answer.headers
    order = klarna.control("GET", f"orders/{order_id}")
    assert (order["acknowledged"], order["acknowledge_effects"]) == (True, 1)
    assert order["acknowledged_at"] is not None


def test_it_refuses_wrong_credentials_with_a_page(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order()

    answer = klarna.ask("GET", f"/ordermanagement/v1/orders/{order_id}", headers=basic("a", "b"))

    assert (answer.status, answer.headers["Content-Type"]) == (401, "text/html")
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert "Klarna-Correlation-Id" not in answer.headers
    assert b"401 Authorization Required" in answer.body
    logged = klarna.last_request(order_id)
    assert (logged["authorized"], logged["correlation_id"]) == (False, None)


@pytest.mark.parametrize(
    ("order_id", "status", "code"),
    [("not-an-id", 400, "INVALID_ORDER_ID"), (UNKNOWN_ID, 404, "NO_SUCH_ORDER")],
)
def test_it_explains_a_refusal_in_json(
    klarna: RunningSandbox, order_id: str, status: int, code: str
) -> None:
    for answer in (klarna.get(order_id), klarna.acknowledge(order_id)):
        error = answer.json()
        assert (answer.status, error["error_code"]) == (status, code)
        assert [type(message) for message in error["error_messages"]] == [str]
        assert error["correlation_id"] == answer.headers["Klarna-Correlation-Id"]


def test_it_replays_the_first_answer_of_a_key_for_a_day(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order()

    for _ in range(2):
        klarna.acknowledge(order_id, key="k")
    klarna.control("PUT", "clock", {"advance_s": 24 * 3600})
    klarna.acknowledge(order_id, key="k")

    log = klarna.control("GET", f"requests?order_id={order_id}")
    assert [(each["effect"], each["replayed"], each["idempotency_key"]) for each in log] == [
        (True, False, "k"),
        (False, True, "k"),
        (True, False, "k"),
    ]
    assert klarna.control("GET", f"orders/{order_id}")["acknowledge_effects"] == 2


def test_it_keeps_a_connection_alive(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order()
    path = f"/ordermanagement/v1/orders/{order_id}"
    connection = http.client.HTTPConnection(*klarna.address, timeout=5)
    sockets = set()

    for method, rest in (("GET", ""), ("POST", "/acknowledge"), ("POST", "/nothing"), ("GET", "")):
        connection.request(method, path + rest, headers=RIGHT)
        sockets.add(connection.sock)
        connection.getresponse().read()
    connection.close()

    assert len(sockets) == 1


def test_it_answers_what_is_no_http_with_400(klarna: RunningSandbox) -> None:
    for nonsense in (
        b"\x16\x03\x01\x02\x00\x01",
        b"GET x HTTP/1.1\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nno header\r\n\r\n",
    ):
        with socket.create_connection(klarna.address, timeout=5) as sock:
            sock.sendall(nonsense)

            assert sock.recv(100).startswith(b"HTTP/1.1 400 ")


def talk(klarna: RunningSandbox, *parts: bytes) -> bytes:
    """Send the parts, and read all that comes until the other side closes."""
    with socket.create_connection(klarna.address, timeout=5) as sock:
        for part in parts:
            sock.sendall(part)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def test_it_reads_a_body_in_chunks(klarna: RunningSandbox) -> None:
    answer = talk(
        klarna,
        b"POST /_control/orders HTTP/1.1\r\nConnection: close\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b'c\r\n{"amount": 7\r\n1\r\n}\r\n0\r\n\r\n',
    )

    assert answer.startswith(b"HTTP/1.1 201 ")
    assert [order["amount"] for order in klarna.control("GET", "orders")] == [7]


def test_it_answers_requests_that_came_together_one_after_the_other(
    klarna: RunningSandbox,
) -> None:
    one = b"GET /_control/healthz HTTP/1.1\r\n\r\n"
    last = b"GET http://sandbox/_control/clock?x HTTP/1.1\r\nConnection: close\r\n\r\n"

    answer = talk(klarna, one + one + last)

    assert answer.count(b"HTTP/1.1 200 ") == 3
    assert (answer.count(b'{"status":"ok"}'), answer.count(b'"speed":1.0}')) == (2, 1)


def test_it_answers_a_request_that_rubbish_follows(klarna: RunningSandbox) -> None:
    answer = talk(klarna, b"GET /_control/healthz HTTP/1.1\r\n\r\n{}")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert (answer.count(b"HTTP/1.1"), b"Connection: close" in answer) == (1, True)


def test_it_stays_with_http_1_when_offered_http_2(klarna: RunningSandbox) -> None:
    offer = (
        b"GET /_control/healthz HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n"
    )

    answer = talk(klarna, offer + b"GET /_control/clock HTTP/1.0\r\n\r\n")

    assert answer.count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize(
    ("request_parts", "reason"),
    [
        ([b"GET / HTTP/1.1\r\nX: ", b"x" * 65_518], b"the head is too long"),
        (
            [b"POST / HTTP/1.1\r\nContent-Length: 16777217\r\n\r\n", b"x" * 16_777_217],
            b"the body is longer than 16777216 bytes",
        ),
    ],
    ids=["head", "body"],
)
def test_it_refuses_more_than_it_can_keep(
    klarna: RunningSandbox, request_parts: list[bytes], reason: bytes
) -> None:
    with socket.create_connection(klarna.address, timeout=5) as sock:
        for part in request_parts:
            sock.sendall(part)
        answer = sock.recv(1000)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert reason in answer


def test_it_reads_a_body_that_waits_to_be_asked_for(klarna: RunningSandbox) -> None:
    with socket.create_connection(klarna.address, timeout=5) as sock:
        head = (
            b"POST /_control/orders HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        sock.sendall(head)
        asked = sock.recv(1000)
        sock.sendall(b"{}")
        answer = sock.recv(1000)

    assert asked == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 201 ")


def test_it_limits_the_rate_as_told(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order()
    klarna.control("PUT", "clock", {"speed": 0})
    klarna.control("PUT", "settings", {"rate_per_s": 2})
    try:
        answers = [klarna.get(order_id) for _ in range(3)]
        klarna.control("PUT", "clock", {"advance_s": 1})
        later = klarna.get(order_id)
    finally:
        klarna.control("PUT", "settings", {"rate_per_s": None})

    assert [answer.status for answer in (*answers, later)] == [200, 200, 429, 200]
    assert answers[2].json()["error_code"] == "TOO_MANY_REQUESTS"
    assert answers[2].headers["Retry-After"] == "1"


def test_it_holds_200_connections_and_counts_exactly(klarna: RunningSandbox) -> None:
    order_ids = klarna.control("POST", "orders", {"count": 50}, status=201)["order_ids"]

    def work(number: int) -> None:
        connection = http.client.HTTPConnection(*klarna.address, timeout=20)
        for turn in range(5):
            order_id = order_ids[(number + turn) % 50]
            headers = RIGHT | {"Klarna-Idempotency-Key": f"acknowledge-{order_id}"}
            path = f"/ordermanagement/v1/orders/{order_id}/acknowledge"
            connection.request("POST", path, headers=headers)
            assert connection.getresponse().read() == b""
        connection.close()

    with ThreadPoolExecutor(_CONNECTIONS) as threads:
        list(threads.map(work, range(_CONNECTIONS)))

    log = klarna.control("GET", "requests")
    seqs = [each["seq"] for each in log]
    assert seqs == list(range(seqs[0], seqs[0] + 5 * _CONNECTIONS))
    assert Counter(each["status"] for each in log) == {204: 5 * _CONNECTIONS}
    assert Counter(each["order_id"] for each in log if each["effect"]) == dict.fromkeys(
        order_ids, 1
    )
    orders = klarna.control("GET", "orders")
    assert [order["acknowledge_effects"] for order in orders] == [1] * 50
    assert sum(order["requests"] for order in orders) == 5 * _CONNECTIONS


def test_it_slows_down_as_told(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order()
    klarna.control("PUT", "settings", {"latency_ms": 300})
    try:
        with klarna.raw(order_id) as sock:
            sock.settimeout(0.1)
            with pytest.raises(TimeoutError):
                sock.recv(1)
            sock.settimeout(5)
            assert sock.recv(12) == b"HTTP/1.1 200"
    finally:
        klarna.control("PUT", "settings", {"latency_ms": 0})
    assert wait_for(lambda: klarna.last_request(order_id))["status"] == 200


def test_it_survives_an_odd_path(klarna: RunningSandbox) -> None:
    statuses = [klarna.ask("GET", path).status for path in ("//[", "/?", "/_control", "//_control")]

    assert statuses == [404, 404, 404, 404]
