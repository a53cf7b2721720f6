"""The shop's side over HTTP: the receiver of signed messages, and the plugin's double."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from devtools.local.sandbox_control import PluginCallBody, ReceivedBody, SandboxControl
from tests.sandboxes import UNKNOWN_ID, RawAnswer, RunningSandbox, running, wait_for

_OTHER_SECRET = "whsec_" + "AAAA" * 8


@pytest.fixture(scope="module")
def process() -> Iterator[RunningSandbox]:
    yield from running()


@pytest.fixture
def shop(process: RunningSandbox) -> Iterator[RunningSandbox]:
    first = process.control("GET", "settings")
    process.control("POST", "reset")
    yield process
    process.control("PUT", "settings", first)


def signed(
    secret: str, body: bytes, message_id: str = "msg-1", age: timedelta = timedelta()
) -> dict[str, str]:
    at = datetime.now(UTC) - age
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body.decode()),
    }


def hand_over(shop: RunningSandbox, order_id: str, message_id: str = "msg-1") -> RawAnswer:
    body = json.dumps({"type": "order", "data": {"order_id": order_id}}).encode()
    secret = shop.control("GET", "settings")["receiver_secret"]
    return shop.ask("POST", "/receiver/orders", body, signed(secret, body, message_id))


def messages(shop: RunningSandbox, order_id: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = shop.control("GET", f"receiver/messages?order_id={order_id}")
    return listed


def add_fault(shop: RunningSandbox, name: str, operation: str, **fault: Any) -> None:  # noqa: ANN401 - JSON
    shop.control("POST", "faults", {"fault": name, "operation": operation, **fault}, status=201)


def test_it_takes_an_order_with_a_good_signature(shop: RunningSandbox) -> None:
    answer = hand_over(shop, UNKNOWN_ID.upper())

    assert (answer.status, answer.json()) == (200, {})
    assert "Klarna-Correlation-Id" not in answer.headers
    (message,) = messages(shop, UNKNOWN_ID)
    assert message.pop("at")
    assert message.pop("seq")
    assert message == {
        "path": "/receiver/orders",
        "message_id": "msg-1",
        "type": "order",
        "order_id": UNKNOWN_ID,
        "traceparent": None,
        "body": {"type": "order", "data": {"order_id": UNKNOWN_ID.upper()}},
        "verified": True,
        "problem": None,
        "taken": True,
        "repeat": False,
        "status": 200,
        "fault": None,
    }


def test_it_answers_its_references(shop: RunningSandbox) -> None:
    references = {"receiver_reference1": "shop-{order_id}", "receiver_reference2": "two"}
    shop.control("PUT", "settings", references)

    assert hand_over(shop, UNKNOWN_ID).json() == {
        "merchant_reference1": f"shop-{UNKNOWN_ID}",
        "merchant_reference2": "two",
    }


def test_it_knows_a_repeat_by_its_id(shop: RunningSandbox) -> None:
    for message_id in ("msg-1", "msg-1", "msg-2"):
        assert hand_over(shop, UNKNOWN_ID, message_id).status == 200

    assert [each["repeat"] for each in messages(shop, UNKNOWN_ID)] == [False, True, False]
    shop.control("POST", "reset")
    hand_over(shop, UNKNOWN_ID)
    assert [each["repeat"] for each in messages(shop, UNKNOWN_ID)] == [False]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"webhook-id": ""}, "Missing required headers"),
        ({"webhook-id": "another"}, "No matching signature found"),
        ({"webhook-timestamp": "x"}, "Invalid Signature Headers"),
        ({"webhook-signature": "x"}, "not enough values to unpack"),
    ],
)
def test_it_takes_nothing_with_a_bad_signature(
    shop: RunningSandbox, change: dict[str, str], problem: str
) -> None:
    secret, body = shop.control("GET", "settings")["receiver_secret"], b'{"order_id": 1}'

    answer = shop.ask("POST", "/receiver/", body, signed(secret, body) | change)

    (message,) = shop.control("GET", "receiver/messages")
    assert (answer.status, message["status"]) == (401, 401)
    assert problem in answer.json()["error"]
    assert (message["verified"], message["taken"]) == (False, False)
    assert message["problem"] == answer.json()["error"]


def test_it_takes_nothing_old_and_nothing_by_get(shop: RunningSandbox) -> None:
    secret, body = shop.control("GET", "settings")["receiver_secret"], b"no json"
    old = signed(secret, body, age=timedelta(minutes=6))

    answers = [
        shop.ask("POST", "/receiver/", body, old),
        shop.ask("GET", "/receiver/", b"", signed(secret, b"")),
    ]

    assert [answer.status for answer in answers] == [401, 401]
    listed = shop.control("GET", "receiver/messages")
    assert [(each["problem"], each["body"]) for each in listed] == [
        ("Message timestamp too old", "no json"),
        ("it is no POST", ""),
    ]


def test_it_verifies_with_the_secret_it_was_told(shop: RunningSandbox) -> None:
    shop.control("PUT", "settings", {"receiver_secret": _OTHER_SECRET})

    assert hand_over(shop, UNKNOWN_ID).status == 200
    error = shop.control("PUT", "settings", {"receiver_secret": "whsec_short"}, status=400)
    assert error["field"] == "receiver_secret"


@pytest.mark.parametrize("status", [409, 422, 503])
def test_it_refuses_as_told_and_takes_nothing(shop: RunningSandbox, status: int) -> None:
    reason = {"reason": "out of stock"}
    add_fault(shop, "status", "receiver", times=1, params={"status": status, "body": reason})

    refused, taken = hand_over(shop, UNKNOWN_ID), hand_over(shop, UNKNOWN_ID)

    assert (refused.status, refused.json(), taken.status) == (status, reason, 200)
    assert [
        (each["taken"], each["repeat"], each["fault"]) for each in messages(shop, UNKNOWN_ID)
    ] == [(False, False, "status"), (True, False, None)]


def test_it_answers_late_as_told(shop: RunningSandbox) -> None:
    add_fault(shop, "slow", "receiver", params={"delay_s": 0.3})
    began = time.monotonic()

    answer = hand_over(shop, UNKNOWN_ID)

    assert (answer.status, time.monotonic() - began >= 0.3) == (200, True)


@pytest.mark.parametrize(
    ("fault", "taken"), [("timeout_before_effect", False), ("timeout_after_effect", True)]
)
def test_it_says_nothing_as_told_and_has_the_order_or_not(
    shop: RunningSandbox, fault: str, *, taken: bool
) -> None:
    add_fault(shop, fault, "receiver", times=1, params={"hold_s": 0.1})

    with pytest.raises(ConnectionError):
        hand_over(shop, UNKNOWN_ID)
    again = hand_over(shop, UNKNOWN_ID)

    assert again.status == 200
    assert [
        (each["status"], each["taken"], each["repeat"]) for each in messages(shop, UNKNOWN_ID)
    ] == [(None, taken, False), (200, True, taken)]


def test_it_notes_who_left_before_a_late_answer(shop: RunningSandbox) -> None:
    order_id = shop.new_order()
    add_fault(shop, "slow", "get_order", params={"delay_s": 600})

    with shop.raw(order_id) as sock:
        wait_for(lambda: shop.control("GET", "requests"))
        sock.shutdown(socket.SHUT_RDWR)

    wait_for(lambda: shop.last_request(order_id)["status"] is None)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/plugin/wc-api/KCO_WC_Push/?kco_wc_order_id={}"),
        ("GET", "/plugin/push?checkout_uri=https%3A%2F%2Fklarna.example%2Forders%2F{}&store=2"),
        ("POST", "/plugin/kco/push/id/{}"),
    ],
)
def test_its_plugin_reads_and_acknowledges_by_itself(
    shop: RunningSandbox, method: str, path: str
) -> None:
    order_id = shop.new_order()

    answer = shop.ask(method, path.format(order_id.upper()), b"", {})

    (call,) = shop.control("GET", f"plugin/calls?order_id={order_id}")
    assert call.pop("at")
    assert call.pop("seq")
    assert (answer.status, answer.body) == (200, b"")
    assert call == {
        "method": method,
        "path": path.format(order_id.upper()).partition("?")[0],
        "query": path.format(order_id.upper()).partition("?")[2],
        "order_id": order_id,
        "event_type": None,
        "traceparent": None,
        "body": "",
        "read": 200,
        "acknowledged": 204,
        "status": 200,
        "fault": None,
    }
    log = shop.control("GET", f"requests?order_id={order_id}")
    assert [(each["operation"], each["effect"], each["user_agent"]) for each in log] == [
        ("get_order", False, "sandbox-plugin"),
        ("acknowledge", True, "sandbox-plugin"),
    ]


@pytest.mark.parametrize(("status", "answered"), [(200, 200), (503, 500)])
def test_its_plugin_reads_an_order_it_is_notified_of_and_acknowledges_nothing(
    shop: RunningSandbox, status: int, answered: int
) -> None:
    order_id = shop.new_order()
    if status != 200:
        add_fault(shop, "status", "get_order", params={"status": status})
    notification = {"order_id": order_id.upper(), "event_type": "FRAUD_RISK_ACCEPTED"}

    answer = shop.ask("POST", "/plugin/fraud", json.dumps(notification).encode(), {})

    (call,) = shop.control("GET", f"plugin/calls?order_id={order_id}")
    assert answer.status == call["status"] == answered
    assert (call["event_type"], json.loads(call["body"])) == ("FRAUD_RISK_ACCEPTED", notification)
    assert (call["read"], call["acknowledged"]) == (status, None)


@pytest.mark.parametrize("body", [b"[" * 9999, b"[1]", b'{"event_type": 1}', b"\xff"])
def test_its_plugin_takes_whatever_else_it_is_sent_for_a_push(
    shop: RunningSandbox, body: bytes
) -> None:
    order_id = shop.new_order()

    assert shop.ask("POST", f"/plugin/{order_id}", body, {}).status == 200


def test_it_answers_a_decision_without_references(shop: RunningSandbox) -> None:
    shop.control("PUT", "settings", {"receiver_reference1": "shop-1"})
    body = json.dumps({"type": "fraud.accepted", "data": {"order_id": UNKNOWN_ID}}).encode()
    secret = shop.control("GET", "settings")["receiver_secret"]

    answer = shop.ask("POST", "/receiver/", body, signed(secret, body))

    assert (answer.status, answer.json()) == (200, {})
    assert [each["type"] for each in messages(shop, UNKNOWN_ID)] == ["fraud.accepted"]


def test_its_plugin_uses_the_credentials_of_the_orders_merchant(shop: RunningSandbox) -> None:
    shop.control("PUT", "settings", {"merchants": {"two": "hush"}})
    order_id = shop.new_order(merchant="two")

    assert shop.ask("POST", f"/plugin/{order_id}", b"", {}).status == 200
    assert shop.last_request(order_id)["merchant"] == "two"


def test_its_plugin_fails_when_klarna_does(shop: RunningSandbox) -> None:
    order_id = shop.new_order()
    add_fault(shop, "reset_before_effect", "acknowledge", times=1)

    unknown = shop.ask("POST", f"/plugin/?order_id={UNKNOWN_ID}", b"", {})
    lost = shop.ask("POST", f"/plugin/?order_id={order_id}", b"", {})
    none = shop.ask("POST", "/plugin/?order_id=1", b"", {})

    assert [answer.status for answer in (unknown, lost, none)] == [500, 500, 400]
    listed = shop.control("GET", "plugin/calls")
    assert [(each["read"], each["acknowledged"]) for each in listed] == [
        (404, None),
        (200, None),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("fault", "acknowledged"), [("timeout_before_effect", None), ("timeout_after_effect", 204)]
)
def test_its_plugin_hangs_as_told(
    shop: RunningSandbox, fault: str, acknowledged: int | None
) -> None:
    order_id = shop.new_order()
    add_fault(shop, fault, "plugin", params={"hold_s": 0.1})

    with pytest.raises(ConnectionError):
        shop.ask("POST", f"/plugin/{order_id}", b"", {})

    (call,) = shop.control("GET", "plugin/calls")
    assert (call["acknowledged"], call["status"], call["fault"]) == (acknowledged, None, fault)
    order = shop.control("GET", f"orders/{order_id}")
    assert order["acknowledged"] == (acknowledged is not None)


def test_it_leaves_klarnas_faults_to_klarnas_side(shop: RunningSandbox) -> None:
    add_fault(shop, "status", "any")

    assert hand_over(shop, UNKNOWN_ID).status == 200


def test_it_is_read_by_the_control_client_of_the_tools(shop: RunningSandbox) -> None:
    order_id = shop.new_order()
    hand_over(shop, order_id)
    shop.ask("POST", f"/plugin/{order_id}", b"", {})

    with closing(SandboxControl(shop.url)) as control:
        (message,), (call,) = control.received(order_id), control.plugin_calls(order_id)

    assert set(message) == set(ReceivedBody.__annotations__)
    assert set(call) == set(PluginCallBody.__annotations__)
