"""Every call of the control side over HTTP."""

from collections.abc import Iterator

import pytest

from tests.sandboxes import UNKNOWN_ID, RunningSandbox, running


@pytest.fixture(scope="module")
def process() -> Iterator[RunningSandbox]:
    yield from running()


@pytest.fixture
def klarna(process: RunningSandbox) -> RunningSandbox:
    process.control("POST", "reset")
    return process


def test_it_creates_an_order_that_is_as_it_should_be(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order()

    order = klarna.control("GET", f"orders/{order_id}")

    assert order.pop("created_at") == order.pop("visible_at")
    assert order == {
        "order_id": order_id,
        "status": "AUTHORIZED",
        "fraud_status": "ACCEPTED",
        "amount": 10_000,
        "currency": "SEK",
        "merchant_reference1": "sandbox-1",
        "merchant_reference2": "sandbox-2",
        "merchant": None,
        "other_merchant": False,
        "push_url": None,
        "acknowledged": False,
        "acknowledge_effects": 0,
        "acknowledged_at": None,
        "requests": 0,
        "pushes": [],
        "next_push_at": None,
    }


def test_it_creates_an_order_as_told(klarna: RunningSandbox) -> None:
    fields = {
        "order_id": UNKNOWN_ID.upper(),
        "status": "PART_CAPTURED",
        "fraud_status": None,
        "amount": 1,
        "currency": "EUR",
        "merchant_reference1": "one",
        "merchant_reference2": "two",
        "merchant": "sandbox",
        "other_merchant": True,
        "push_url": "https://shop.example/push",
    }

    order_id = klarna.new_order(**fields)

    order = klarna.control("GET", f"orders/{order_id}")
    assert order_id == UNKNOWN_ID
    assert {name: order[name] for name in fields} == fields | {"order_id": UNKNOWN_ID}


def test_it_creates_many_and_lists_them_in_order(klarna: RunningSandbox) -> None:
    order_ids = klarna.control("POST", "orders", {"count": 30}, status=201)["order_ids"]

    assert len(set(order_ids)) == 30
    assert [order["order_id"] for order in klarna.control("GET", "orders")] == order_ids


def test_it_hides_an_order_until_it_is_visible(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order(visible_after_s=60)
    before = klarna.get(order_id)
    klarna.control("PUT", "clock", {"advance_s": 60})

    assert before.json()["error_code"] == "NO_SUCH_ORDER"
    assert (before.status, klarna.get(order_id).status) == (404, 200)


def test_it_changes_an_order(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order()

    changes = {"status": "CANCELLED", "fraud_status": "X_NEW_WORD", "amount": 5}
    changed = klarna.control("PATCH", f"orders/{order_id.upper()}", changes)

    assert changed == klarna.control("GET", f"orders/{order_id}")
    shown = klarna.get(order_id).json()
    assert (shown["status"], shown["fraud_status"], shown["order_amount"]) == (
        "CANCELLED",
        "X_NEW_WORD",
        5,
    )
    assert klarna.acknowledge(order_id).json()["error_code"] == "NOT_ALLOWED"


def test_it_changes_nothing_when_one_field_is_bad(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order()

    klarna.control("PATCH", f"orders/{order_id}", {"status": "CLOSED", "amount": -1}, status=400)

    assert klarna.control("GET", f"orders/{order_id}")["status"] == "AUTHORIZED"


def test_it_logs_requests_in_order(klarna: RunningSandbox) -> None:
    first, second = klarna.new_order(), klarna.new_order()
    klarna.get(first)
    klarna.acknowledge(second, key="k")
    klarna.ask("GET", "/elsewhere")

    log = klarna.control("GET", "requests")

    assert [(each["operation"], each["order_id"], each["status"]) for each in log] == [
        ("get_order", first, 200),
        ("acknowledge", second, 204),
        ("unknown", None, 404),
    ]
    seqs = [each["seq"] for each in log]
    assert seqs == [seqs[0], seqs[0] + 1, seqs[0] + 2]
    assert klarna.control("GET", f"requests?since={seqs[0]}") == log[1:]
    assert klarna.control("GET", f"requests?since={seqs[0]}&order_id={second.upper()}") == log[1:2]
    assert klarna.control("GET", f"requests?order_id={UNKNOWN_ID}") == []


def test_it_changes_any_subset_of_the_settings(klarna: RunningSandbox) -> None:
    before = klarna.control("GET", "settings")

    after = klarna.control("PUT", "settings", {"acknowledge_on_closed": 204, "latency_ms": 1})
    restored = klarna.control("PUT", "settings", before)

    assert after == before | {"acknowledge_on_closed": "204", "latency_ms": 1}
    assert restored == before == klarna.control("GET", "settings")
    assert before["push_schedule_s"][:5] == [300, 900, 1800, 3600, 18_000]


def test_it_changes_credentials(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order()

    klarna.control("PUT", "settings", {"password": "other"})
    refused = klarna.get(order_id).status
    klarna.control("PUT", "settings", {"password": "sandbox"})

    assert (refused, klarna.get(order_id).status) == (401, 200)


def test_it_moves_its_clock(klarna: RunningSandbox) -> None:
    before = klarna.control("PUT", "clock", {"speed": 0})

    after = klarna.control("PUT", "clock", {"advance_s": 86_400})

    assert after == klarna.control("GET", "clock")
    assert after["speed"] == 0
    assert after["now"][11:] == before["now"][11:]
    assert after["now"][:10] > before["now"][:10]


def test_it_forgets_all_but_settings_and_push_url(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order()
    klarna.get(order_id)
    klarna.control("PUT", "pusher", {"url": "http://127.0.0.1:9/{order.id}"})
    klarna.control("PUT", "clock", {"speed": 7})
    klarna.control("POST", "faults", {"fault": "drip"}, status=201)
    last = klarna.last_request(order_id)["seq"]
    settings = klarna.control("GET", "settings")

    assert klarna.control("POST", "reset") == {"status": "reset"}

    assert klarna.control("GET", "settings") == settings
    assert klarna.control("GET", "pusher") == {"url": "http://127.0.0.1:9/{order.id}"}
    assert klarna.control("GET", "clock")["speed"] == 1
    forgotten = [klarna.control("GET", what) for what in ("orders", "requests", "faults", "pushes")]
    assert forgotten == [[], [], [], []]
    klarna.get(order_id)
    assert klarna.last_request(order_id)["seq"] == last + 1


@pytest.mark.parametrize(
    ("call", "body", "field"),
    [
        ("POST orders", {"count": 0}, "count"),
        ("POST orders", {"count": 2, "order_id": UNKNOWN_ID}, "count"),
        ("POST orders", {"order_id": "x"}, "order_id"),
        ("POST orders", {"status": "CANCELED"}, "status"),
        ("POST orders", {"status": None}, "status"),
        ("POST orders", {"fraud_status": 1}, "fraud_status"),
        ("POST orders", {"amount": 1.5}, "amount"),
        ("POST orders", {"currency": "sek"}, "currency"),
        ("POST orders", {"merchant": "nobody"}, "merchant"),
        ("POST orders", {"push_url": "shop.example"}, "push_url"),
        ("POST orders", b"[" * 100_000, "body"),
        ("POST orders", {"visible_after_s": -1}, "visible_after_s"),
        ("POST orders", {"push": "yes"}, "push"),
        ("POST orders", {"first_push_after_s": 1}, "first_push_after_s"),
        ("POST orders", {"stauts": "CLOSED"}, "stauts"),
        ("POST orders", [], "body"),
        ("POST orders", b"{", "body"),
        ("POST pushes", {}, "order_id"),
        ("POST notifications", {"url": "http://127.0.0.1:1/"}, "order_id"),
        ("POST notifications", {"order_id": UNKNOWN_ID}, "url"),
        (
            "POST notifications",
            {"order_id": UNKNOWN_ID, "url": "http://127.0.0.1:1/", "event_type": ""},
            "event_type",
        ),
        ("GET requests?since=x", None, "since"),
        ("GET pushes?from=1", None, "from"),
        ("PUT settings", {"latency_ms": "1"}, "latency_ms"),
        ("PUT settings", {"rate_per_s": 0}, "rate_per_s"),
        ("PUT settings", {"second_acknowledge": 200}, "second_acknowledge"),
        ("PUT settings", {"acknowledge_on_closed": None}, "acknowledge_on_closed"),
        ("PUT settings", {"hide_other_merchants": "no"}, "hide_other_merchants"),
        ("PUT settings", {"push_schedule_s": [5, 5]}, "push_schedule_s"),
        ("PUT settings", {"username": ""}, "username"),
        ("PUT settings", {"merchants": {"two": ""}}, "merchants"),
        ("PUT settings", {"latency_ms": 10**400}, "latency_ms"),
        ("PUT settings", {"push_schedule_s": [10**400]}, "push_schedule_s"),
        ("GET requests?since=" + "9" * 5000, None, "since"),
        ("PUT settings", {"speed": 2}, "speed"),
        ("PUT pusher", {}, "url"),
        ("PUT pusher", {"url": "ftp://x/"}, "url"),
        ("PUT pusher", {"url": "http://x:99999/"}, "url"),
        ("PUT clock", {"advance_s": -1}, "advance_s"),
        ("PUT clock", {"advance_s": 10**9 + 1}, "advance_s"),
        ("PUT clock", {"speed": -1}, "speed"),
    ],
)
def test_it_names_the_field_that_is_bad_and_what_is_allowed(
    klarna: RunningSandbox,
    call: str,
    body: object,
    field: str,
) -> None:
    method, path = call.split()

    error = klarna.control(method, path, body, status=400)

    assert error == {
        "error": f"{field}: must be {error['allowed']}",
        "field": field,
        "allowed": error["allowed"],
    }
    assert klarna.control("GET", "orders") == []


def test_it_refuses_an_id_that_is_in_use(klarna: RunningSandbox) -> None:
    klarna.new_order(order_id=UNKNOWN_ID)

    error = klarna.control("POST", "orders", {"order_id": UNKNOWN_ID}, status=400)

    assert error["field"] == "order_id"


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (f"GET orders/{UNKNOWN_ID}", 404),
        (f"PATCH orders/{UNKNOWN_ID}", 404),
        ("DELETE faults/fault-99", 404),
        ("GET nothing", 404),
        ("PUT orders", 405),
        ("GET reset", 405),
    ],
)
def test_it_says_what_is_not_there(klarna: RunningSandbox, call: str, status: int) -> None:
    method, path = call.split()

    assert klarna.control(method, path, {}, status=status)["error"]


def test_it_brings_captures_with_a_status_that_is_set_by_hand(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order(status="PART_CAPTURED", amount=1000)
    made = klarna.get(order_id).json()
    captured = []
    for change in ({"amount": 500}, {"status": "CAPTURED"}, {"status": "AUTHORIZED"}):
        klarna.control("PATCH", f"orders/{order_id}", change)
        captured.append(klarna.get(order_id).json()["captured_amount"])

    assert [each["captured_amount"] for each in made["captures"]] == [500]
    assert (made["captured_amount"], made["remaining_authorized_amount"]) == (500, 500)
    assert captured == [250, 500, 0]


def test_it_leaves_real_captures_alone_when_something_else_is_set(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order(amount=1000)
    path = f"/ordermanagement/v1/orders/{order_id}"
    klarna.ask("POST", f"{path}/captures", {"captured_amount": 300})
    klarna.ask("PATCH", f"{path}/merchant-references", {"merchant_reference1": ""})

    klarna.control("PATCH", f"orders/{order_id}", {"amount": 900, "fraud_status": "PENDING"})

    order = klarna.get(order_id).json()
    assert (order["captured_amount"], order["remaining_authorized_amount"]) == (300, 600)
    assert (order["status"], order["merchant_reference1"]) == ("PART_CAPTURED", "")
