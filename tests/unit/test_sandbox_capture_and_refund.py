"""Captures, refunds and what else Klarna's Order Management has beside the page."""

import json
from typing import Any

import pytest

from sandbox.serving.answers import ApiAnswer
from tests.sandboxes import ORDER_ID, START_S, SandboxCalls, error

_URL = f"http://klarna.example/ordermanagement/v1/orders/{ORDER_ID}"
_LINE = {"name": "Pears", "quantity": 1, "unit_price": 4000, "total_amount": 4000}
_PARCEL = {"tracking_number": "17"}


def created(answer: ApiAnswer, what: str, header: str) -> str:
    """The id of what was created; the answer is one of 201 and nothing else."""
    headers = dict(answer.headers)
    assert (answer.status, answer.body, answer.content_type) == (201, b"", None)
    assert headers == {"Location": f"{_URL}/{what}/{headers[header]}", header: headers[header]}
    return headers[header]


def capture(klarna: SandboxCalls, amount: int, **fields: Any) -> str:  # noqa: ANN401 - JSON
    answer, entry = klarna("POST /captures", {"captured_amount": amount, **fields})
    assert entry.effect
    return created(answer, "captures", "Capture-Id")


def shown(klarna: SandboxCalls, what: str) -> Any:  # noqa: ANN401 - JSON
    answer, _ = klarna(f"GET {what}")
    assert answer.status == 200
    return json.loads(answer.body or b"")


def test_it_captures_in_parts_until_nothing_remains() -> None:
    klarna = SandboxCalls()
    klarna.order.first_push_at_s = START_S

    first = capture(klarna, 4000, description="a part", reference="r", order_lines=[_LINE])
    part = klarna.shown()
    second = capture(klarna, 6000, shipping_info=[_PARCEL])
    whole = klarna.shown()

    assert (part["status"], part["captured_amount"], part["remaining_authorized_amount"]) == (
        "PART_CAPTURED",
        4000,
        6000,
    )
    assert (whole["status"], whole["captured_amount"], whole["remaining_authorized_amount"]) == (
        "CAPTURED",
        10_000,
        0,
    )
    assert [each["capture_id"] for each in whole["captures"]] == [first, second]
    assert shown(klarna, "/captures") == whole["captures"]
    one = shown(klarna, f"/captures/{first}")
    assert one == whole["captures"][0]
    assert (one["captured_amount"], one["description"], one["reference"], one["order_lines"]) == (
        4000,
        "a part",
        "r",
        [_LINE],
    )
    assert shown(klarna, f"/captures/{second}")["shipping_info"] == [_PARCEL]


def test_it_acknowledges_with_the_first_capture() -> None:
    klarna = SandboxCalls(second_acknowledge="403")
    klarna.order.first_push_at_s = START_S
    pushed_before = klarna.order.next_push_at_s()

    capture(klarna, 1)

    assert (pushed_before, klarna.order.next_push_at_s()) == (START_S, None)
    assert (klarna.order.acknowledged_at_s, klarna.order.acknowledge_effects) == (START_S, 0)
    assert error(klarna("POST /acknowledge")[0])[0] == 403


@pytest.mark.parametrize("status", ["CANCELLED", "EXPIRED", "CLOSED"])
def test_it_captures_nothing_of_a_closed_order(status: str) -> None:
    klarna = SandboxCalls()
    klarna.order.status = status

    answer, entry = klarna("POST /captures", {"captured_amount": 1})

    assert error(answer) == (403, "CAPTURE_NOT_ALLOWED", ["Capture not allowed"])
    assert (entry.effect, klarna.shown()["captures"]) == (False, [])


@pytest.mark.parametrize("amount", [0, 10_001])
def test_it_captures_no_more_than_remains_and_not_nothing(amount: int) -> None:
    answer, _ = SandboxCalls()("POST /captures", {"captured_amount": amount})

    assert error(answer) == (403, "CAPTURE_NOT_ALLOWED", ["Capture not allowed"])


def test_it_captures_until_the_order_expires_and_longer_when_extended() -> None:
    klarna = SandboxCalls()
    days_28 = klarna.order.expires_at_s - START_S

    extended, _ = klarna("POST /extend-authorization-time")
    klarna.state.clock.advance(days_28)
    capture(klarna, 1)
    klarna.state.clock.advance(28 * 86_400)
    late, _ = klarna("POST /captures", {"captured_amount": 1})

    assert extended == ApiAnswer(204)
    assert error(late)[1] == "CAPTURE_NOT_ALLOWED"


def test_it_expires_what_nobody_captured() -> None:
    klarna = SandboxCalls()
    klarna.state.clock.advance(klarna.order.expires_at_s - START_S)

    assert klarna.shown()["status"] == "EXPIRED"
    assert error(klarna("POST /extend-authorization-time")[0])[:2] == (403, "NOT_ALLOWED")


@pytest.mark.parametrize(("switch", "status"), [("201", 201), ("403", 403)])
@pytest.mark.parametrize("fraud_status", ["PENDING", "REJECTED", "STOPPED"])
def test_it_captures_what_is_pending_as_the_switch_says(
    switch: str, status: int, fraud_status: str
) -> None:
    klarna = SandboxCalls(capture_while_pending=switch)
    klarna.order.fraud_status = fraud_status

    assert klarna("POST /captures", {"captured_amount": 1})[0].status == status


def test_it_captures_once_for_a_key() -> None:
    klarna = SandboxCalls()

    answers = [klarna("POST /captures", {"captured_amount": 10}, key="k")[0] for _ in range(3)]

    assert answers[0] == answers[1] == answers[2]
    assert klarna.shown()["captured_amount"] == 10


def test_it_refunds_what_was_captured_and_no_more() -> None:
    klarna = SandboxCalls()
    too_early, _ = klarna("POST /refunds", {"refunded_amount": 1})
    capture(klarna, 4000)

    answer, _ = klarna("POST /refunds", {"refunded_amount": 3000, "order_lines": [_LINE]})
    too_much, _ = klarna("POST /refunds", {"refunded_amount": 1001})

    refund_id = created(answer, "refunds", "Refund-Id")
    order = klarna.shown()
    assert error(too_early) == (
        403,
        "REFUND_NOT_ALLOWED",
        ["Order has no captures. Refund not possible"],
    )
    assert error(too_much) == (
        403,
        "REFUND_NOT_ALLOWED",
        ["Over refund is not allowed. Refund not possible."],
    )
    assert (order["refunded_amount"], order["status"]) == (3000, "PART_CAPTURED")
    assert shown(klarna, f"/refunds/{refund_id}") == order["refunds"][0]
    assert (order["refunds"][0]["refunded_amount"], order["refunds"][0]["order_lines"]) == (
        3000,
        [_LINE],
    )


def test_it_says_that_there_is_no_such_refund_or_capture() -> None:
    klarna = SandboxCalls()
    bare = klarna("POST /captures/x/shipping-info", {"shipping_info": [_PARCEL]})[0]
    capture(klarna, 1)

    assert error(bare) == (403, "NOT_ALLOWED", ["Order has no captures."])
    assert error(klarna("GET /refunds/x")[0]) == (
        404,
        "NOT_FOUND",
        [f"Refund x cannot be found for order {ORDER_ID}"],
    )
    assert error(klarna("GET /captures/x")[0]) == (
        404,
        "NO_SUCH_CAPTURE",
        ["Capture could not be found."],
    )
    assert error(klarna("POST /captures/x/shipping-info", {"shipping_info": [_PARCEL]})[0]) == (
        404,
        "NO_SUCH_CAPTURE",
        ["Capture could not be found. Shipping info cannot be added to capture x."],
    )


def test_it_follows_up_on_a_capture() -> None:
    klarna = SandboxCalls()
    path = f"/captures/{capture(klarna, 1)}"

    options = shown(klarna, f"{path}/extend-due-date-options")
    days = options["options"][0]["number_of_days"]
    answers = [
        klarna(f"POST {path}/shipping-info", {"shipping_info": [_PARCEL]})[0],
        klarna(f"POST {path}/trigger-send-out")[0],
        klarna(f"PATCH {path}/extend-due-date", {"number_of_days": days})[0],
    ]
    refused, _ = klarna(f"PATCH {path}/extend-due-date", {"number_of_days": days + 1})

    assert answers == [ApiAnswer(204)] * 3
    assert options["currency"] == "SEK"
    assert shown(klarna, path)["shipping_info"] == [_PARCEL]
    assert error(refused)[:2] == (403, "NOT_ALLOWED")


def test_it_releases_what_remains() -> None:
    klarna = SandboxCalls()
    too_early, _ = klarna("POST /release-remaining-authorization")
    capture(klarna, 4000)

    done, _ = klarna("POST /release-remaining-authorization")
    again, _ = klarna("POST /release-remaining-authorization")

    order = klarna.shown()
    assert (error(too_early)[:2], done) == ((403, "NOT_ALLOWED"), ApiAnswer(204))
    assert error(again) == (
        403,
        "NOT_ALLOWED",
        ["Order is fully captured. Remaining authorization cannot be released."],
    )
    assert (order["order_amount"], order["remaining_authorized_amount"]) == (10_000, 0)
    assert error(klarna("POST /captures", {"captured_amount": 1})[0])[0] == 403
