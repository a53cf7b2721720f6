"""Every fault, felt over HTTP, and what the request log tells of it."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.faults.kinds import FAULTS
from tests.sandboxes import UNKNOWN_ID, RunningSandbox, running, wait_for

ACKNOWLEDGE = "/acknowledge"


@pytest.fixture(scope="module")
def klarna() -> Iterator[RunningSandbox]:
    yield from running()


@pytest.fixture
def order_id(klarna: RunningSandbox) -> str:
    klarna.control("POST", "reset")
    return klarna.new_order()


def add_fault(klarna: RunningSandbox, name: str, **fault: Any) -> str:  # noqa: ANN401 - JSON
    fault_id: str = klarna.control("POST", "faults", {"fault": name, **fault}, status=201)[
        "fault_id"
    ]
    return fault_id


def outcome(klarna: RunningSandbox, order_id: str) -> tuple[int | None, bool, str | None]:
    """What the log says of the last call: status, effect, fault."""
    last = klarna.last_request(order_id)
    return last["status"], last["effect"], last["fault"]


def effects(klarna: RunningSandbox, order_id: str) -> int:
    count: int = klarna.control("GET", f"orders/{order_id}")["acknowledge_effects"]
    return count


def everything(sock: socket.socket) -> bytes:
    """Read until the other side closes. Raises ConnectionResetError if it resets."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


@pytest.mark.parametrize(
    ("name", "params", "status", "content_type", "body"),
    [
        ("status", {"status": 500}, 500, "application/json", b"INTERNAL_SERVER_ERROR"),
        ("status", {"status": 409, "error_code": "X"}, 409, "application/json", b'"X"'),
        ("status", {"status": 200, "body": {"a": 1}}, 200, "application/json", b'{"a": 1}'),
        ("status", {"status": 503, "body": "", "content_type": "a/b"}, 503, "a/b", b""),
        ("rate_limited", {}, 429, "application/json", b"TOO_MANY_REQUESTS"),
        ("unauthorized_html", {}, 401, "text/html", b"<title>401"),
        ("forbidden_html", {}, 403, "text/html", b"<title>403"),
        ("redirect", {"location": "http://x.example/"}, 302, "text/html", b"<title>302"),
        ("empty_404", {}, 404, "text/html", b""),
        ("html_404", {}, 404, "text/html", b"<title>404"),
        ("no_such_order", {}, 404, "application/json", b"NO_SUCH_ORDER"),
        ("not_allowed", {}, 403, "application/json", b"NOT_ALLOWED"),
        ("no_error_code", {"status": 400}, 400, "application/json", b"error_message"),
        ("not_json_200", {}, 200, "text/html", b"<html>"),
    ],
)
def test_it_answers_instead_of_klarna(  # noqa: PLR0913, PLR0917 - the columns of the table above
    klarna: RunningSandbox,
    order_id: str,
    name: str,
    params: dict[str, Any],
    status: int,
    content_type: str,
    body: bytes,
) -> None:
    add_fault(klarna, name, params=params)

    for answer in (klarna.get(order_id), klarna.acknowledge(order_id)):
        assert (answer.status, answer.headers["Content-Type"]) == (status, content_type)
        assert body in answer.body
        assert outcome(klarna, order_id) == (status, False, name)
    assert effects(klarna, order_id) == 0


def test_it_redirects_where_it_was_told(klarna: RunningSandbox, order_id: str) -> None:
    add_fault(klarna, "redirect", params={"location": "http://x.example/"})

    assert klarna.get(order_id).headers["Location"] == "http://x.example/"


@pytest.mark.parametrize(("retry_after_s", "header"), [(7, "7"), (None, None)])
def test_it_says_when_to_come_back_or_does_not(
    klarna: RunningSandbox, order_id: str, retry_after_s: int | None, header: str | None
) -> None:
    add_fault(klarna, "rate_limited", params={"retry_after_s": retry_after_s})

    assert klarna.get(order_id).headers.get("Retry-After") == header


@pytest.mark.parametrize("name", ["status", "not_json_200"])
def test_it_takes_effect_behind_another_answer_if_told_so(
    klarna: RunningSandbox, order_id: str, name: str
) -> None:
    add_fault(klarna, name, params={"effect": True})

    status = klarna.acknowledge(order_id).status

    assert outcome(klarna, order_id) == (status, True, name)
    assert effects(klarna, order_id) == 1


@pytest.mark.parametrize(
    ("name", "effect"), [("reset_before_effect", False), ("reset_after_effect", True)]
)
def test_it_resets_before_or_after_the_effect(
    klarna: RunningSandbox, order_id: str, name: str, *, effect: bool
) -> None:
    add_fault(klarna, name)

    with klarna.raw(order_id, ACKNOWLEDGE, "POST") as sock, pytest.raises(ConnectionResetError):
        sock.recv(1)

    assert outcome(klarna, order_id) == (None, effect, name)
    assert effects(klarna, order_id) == effect


@pytest.mark.parametrize(
    ("name", "effect"), [("timeout_before_effect", False), ("timeout_after_effect", True)]
)
def test_it_holds_and_closes_before_or_after_the_effect(
    klarna: RunningSandbox, order_id: str, name: str, *, effect: bool
) -> None:
    add_fault(klarna, name, params={"hold_s": 0.6})

    with klarna.raw(order_id, ACKNOWLEDGE, "POST") as sock:
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        meanwhile = outcome(klarna, order_id)
        sock.settimeout(5)
        assert everything(sock) == b""

    assert meanwhile == outcome(klarna, order_id) == (None, effect, name)
    assert effects(klarna, order_id) == effect


def test_it_lets_go_of_held_connections_at_a_reset(klarna: RunningSandbox, order_id: str) -> None:
    add_fault(klarna, "timeout_before_effect", params={"hold_s": 600})

    with klarna.raw(order_id) as sock:
        wait_for(lambda: klarna.control("GET", "requests"))
        klarna.control("POST", "reset")

        assert everything(sock) == b""


def test_it_sends_half_the_json(klarna: RunningSandbox, order_id: str) -> None:
    whole = klarna.get(order_id).body
    add_fault(klarna, "truncated_json")

    shown = klarna.get(order_id)
    acknowledged = klarna.acknowledge(order_id)

    assert (shown.status, shown.body) == (200, whole[: len(whole) // 2])
    assert shown.headers["Content-Length"] == str(len(shown.body))
    assert acknowledged.status == 200
    with pytest.raises(json.JSONDecodeError):
        acknowledged.json()
    assert outcome(klarna, order_id) == (200, True, "truncated_json")


@pytest.mark.parametrize("rest", ["", ACKNOWLEDGE])
def test_it_closes_before_the_announced_length(
    klarna: RunningSandbox, order_id: str, rest: str
) -> None:
    add_fault(klarna, "short_body", params={"missing_bytes": 9})

    with klarna.raw(order_id, rest, "POST" if rest else "GET") as sock:
        head, _, body = everything(sock).partition(b"\r\n\r\n")

    assert f"Content-Length: {len(body) + 9}".encode() in head
    assert outcome(klarna, order_id) == (200, bool(rest), "short_body")


def test_it_answers_late(klarna: RunningSandbox, order_id: str) -> None:
    whole = klarna.get(order_id).body
    add_fault(klarna, "slow", params={"delay_s": 0.3})
    began = time.monotonic()

    answer = klarna.get(order_id)

    assert (answer.status, answer.body, time.monotonic() - began >= 0.3) == (200, whole, True)
    assert outcome(klarna, order_id) == (200, False, "slow")


@pytest.mark.parametrize("name", ["drip", "drip_headers"])
def test_it_drips_to_the_end(klarna: RunningSandbox, order_id: str, name: str) -> None:
    whole = klarna.get(order_id).body
    add_fault(klarna, name, params={"byte_interval_s": 0})

    answer = klarna.get(order_id)

    assert (answer.status, answer.body) == (200, whole)
    assert outcome(klarna, order_id) == (200, False, name)


@pytest.mark.parametrize(("name", "status"), [("drip", 200), ("drip_headers", None)])
def test_it_drips_byte_by_byte_until_the_client_leaves(
    klarna: RunningSandbox, order_id: str, name: str, status: int | None
) -> None:
    add_fault(klarna, name, params={"byte_interval_s": 0.2})
    sizes = []

    with klarna.raw(order_id, ACKNOWLEDGE, "POST") as sock:
        if name == "drip":
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += sock.recv(1)
        sizes += [len(sock.recv(1000)) for _ in range(3)]

    assert sum(sizes) < 20  # a busy machine may read a few at a time
    wait_for(lambda: klarna.last_request(order_id)["status"] == status)
    assert outcome(klarna, order_id) == (status, True, name)


def test_it_shows_another_orders_id_only_where_an_order_is_shown(
    klarna: RunningSandbox, order_id: str
) -> None:
    add_fault(klarna, "wrong_order_id")
    other = klarna.get(order_id).json()["order_id"]
    klarna.control("DELETE", "faults")
    add_fault(klarna, "wrong_order_id", params={"order_id": UNKNOWN_ID})

    named, acknowledged = klarna.get(order_id).json()["order_id"], klarna.acknowledge(order_id)

    assert other not in {order_id, UNKNOWN_ID}
    assert named == UNKNOWN_ID
    assert (acknowledged.status, outcome(klarna, order_id)) == (204, (204, True, None))


@pytest.mark.parametrize("rest", ["", ACKNOWLEDGE])
def test_it_sends_a_huge_body(klarna: RunningSandbox, order_id: str, rest: str) -> None:
    add_fault(klarna, "huge_body", params={"size_bytes": 3_000_001})

    answer = klarna.acknowledge(order_id) if rest else klarna.get(order_id)

    assert (answer.status, len(answer.body)) == (200, 3_000_001)
    assert answer.json()["order_id"] == order_id


def test_it_strikes_only_what_was_named_and_as_often(klarna: RunningSandbox, order_id: str) -> None:
    another = klarna.new_order()
    add_fault(klarna, "empty_404", operation="acknowledge", order_id=order_id.upper(), times=1)

    statuses = [
        klarna.get(order_id).status,
        klarna.acknowledge(another).status,
        klarna.acknowledge(order_id).status,
        klarna.acknowledge(order_id).status,
    ]

    assert statuses == [200, 204, 404, 204]


def test_it_leaves_it_to_chance(klarna: RunningSandbox, order_id: str) -> None:
    add_fault(klarna, "empty_404", probability=0.5)

    statuses = {klarna.get(order_id).status for _ in range(100)}

    assert statuses == {200, 404}


def test_it_lists_and_lifts_faults(klarna: RunningSandbox, order_id: str) -> None:
    first = add_fault(klarna, "redirect", times=3)
    add_fault(klarna, "drip", order_id=order_id)
    klarna.get(order_id)

    listed = klarna.control("GET", "faults")
    klarna.control("DELETE", f"faults/{first}")
    left = [fault["fault"] for fault in klarna.control("GET", "faults")]
    klarna.control("DELETE", f"faults/{first}", status=404)
    lifted = klarna.control("DELETE", "faults")

    assert listed[0] == {
        "fault_id": first,
        "fault": "redirect",
        "operation": "any",
        "order_id": None,
        "times": 3,
        "probability": 1,
        "params": {"location": "https://login.example/", "effect": False},
        "struck": 1,
    }
    assert (left, lifted) == (["drip"], {"lifted": 1})
    assert klarna.get(order_id).status == 200


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({}, "fault"),
        ({"fault": "statsu"}, "fault"),
        ({"fault": "redirect", "operation": "captured"}, "operation"),
        ({"fault": "wrong_order_id", "operation": "acknowledge"}, "operation"),
        ({"fault": "redirect", "order_id": "x"}, "order_id"),
        ({"fault": "redirect", "times": 0}, "times"),
        ({"fault": "redirect", "probability": 1.1}, "probability"),
        ({"fault": "redirect", "params": []}, "params"),
        ({"fault": "redirect", "params": {"status": 500}}, "params.status"),
        ({"fault": "redirect", "params": {"location": "a\nb"}}, "params.location"),
        ({"fault": "status", "params": {"status": 99}}, "params.status"),
        ({"fault": "status", "params": {"headers": {"A": 1}}}, "params.headers"),
        ({"fault": "rate_limited", "params": {"retry_after_s": -1}}, "params.retry_after_s"),
        ({"fault": "drip", "params": {"byte_interval_s": "1"}}, "params.byte_interval_s"),
        ({"fault": "html_404", "params": {"effect": 1}}, "params.effect"),
        ({"fault": "redirect", "time": 1}, "time"),
    ],
)
def test_it_refuses_a_fault_it_cannot_do(
    klarna: RunningSandbox, fault: dict[str, Any], field: str
) -> None:
    error = klarna.control("POST", "faults", fault, status=400)

    assert error["field"] == field
    assert error["allowed"]


def test_it_tries_every_fault_in_this_file() -> None:
    tried = Path(__file__).read_text("utf-8")

    assert [name for name in FAULTS if f'"{name}"' not in tried] == []
