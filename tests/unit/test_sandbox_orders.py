from dataclasses import replace
from typing import Any

import pytest

from sandbox.api.order_body import order_body
from sandbox.api.orders import (
    ORDER_ID,
    STATUSES,
    StoredCapture,
    StoredOrder,
    StoredRefund,
    new_order_id,
)

_CAPTURED = ("PART_CAPTURED", "CAPTURED")


def an_order(**fields: Any) -> StoredOrder:  # noqa: ANN401 - the fields of Order
    return replace(StoredOrder(new_order_id(), 0, 0), **fields)


def test_it_counts_effects_and_remembers_the_first() -> None:
    order = an_order()

    order.acknowledge(5)
    order.acknowledge(9)

    assert (order.acknowledge_effects, order.acknowledged_at_s) == (2, 5)


def test_it_is_not_visible_before_its_time() -> None:
    order = an_order(visible_at_s=10)

    assert [order.visible(at_s) for at_s in (9.9, 10, 11)] == [False, True, True]


def test_it_is_pushed_on_the_schedule_until_that_runs_out() -> None:
    order = an_order(first_push_at_s=100, resends_s=(300,))
    due = []
    for taken in range(3):
        order.pushes_taken = taken
        due.append(order.next_push_at_s())

    assert due == [100, 400, None]


def test_it_is_not_pushed_unless_that_was_asked_for() -> None:
    assert an_order(resends_s=(300,)).next_push_at_s() is None


@pytest.mark.parametrize("status", STATUSES)
def test_it_is_pushed_until_a_capture_and_in_every_other_state(status: str) -> None:
    order = an_order(status=status, first_push_at_s=100)

    assert order.next_push_at_s() == (None if status in _CAPTURED else 100)


def test_it_is_pushed_no_more_once_acknowledged() -> None:
    order = an_order(first_push_at_s=100)
    order.acknowledge(50)

    assert order.next_push_at_s() is None


def test_it_makes_ids_of_klarnas_shape() -> None:
    made = {new_order_id() for _ in range(200)}

    assert len(made) == 200
    assert all(ORDER_ID.fullmatch(each) for each in made)
    assert {each[14] for each in made} == set("246")


def test_it_shows_the_full_shape_of_an_order() -> None:
    order = an_order(amount=12_500, currency="NOK", created_at_s=1_598_270_258)

    body = order_body(order)

    assert set(body) == {
        *("order_id", "status", "fraud_status", "order_amount", "original_order_amount"),
        *("captured_amount", "refunded_amount", "remaining_authorized_amount"),
        *("purchase_currency", "purchase_country", "locale", "order_lines", "klarna_reference"),
        *("merchant_reference1", "merchant_reference2", "customer", "billing_address"),
        *("shipping_address", "created_at", "expires_at", "captures", "refunds"),
        "initial_payment_method",
    }
    assert (body["order_amount"], body["purchase_currency"]) == (12_500, "NOK")
    assert (body["captured_amount"], body["remaining_authorized_amount"]) == (0, 12_500)
    assert body["expires_at"] == "2020-09-21T00:00:00.000Z"
    assert body["captures"] == []


def test_it_shows_a_person_who_is_easy_to_recognise() -> None:
    person = order_body(an_order())["billing_address"]

    assert isinstance(person, dict)
    assert (person["family_name"], person["email"]) == ("Sandboxperson", "person@sandbox.example")


def test_it_shows_no_fraud_status_when_there_is_none() -> None:
    assert "fraud_status" not in order_body(an_order(fraud_status=None))


def test_it_adds_up_what_was_captured_refunded_and_released() -> None:
    order = an_order(amount=1000, original_amount=1200, released_amount=100)
    order.captures = [StoredCapture("one", 300, 5), StoredCapture("two", 200, 6, reference="r")]
    order.refunds = [
        StoredRefund("three", 250, 7, "", None, []),
        StoredRefund("4", 1, 8, "", "s", []),
    ]

    body = order_body(order)

    amounts = {name: body[name] for name in body if str(name).endswith("_amount")}
    assert amounts == {
        "order_amount": 1000,
        "original_order_amount": 1200,
        "captured_amount": 500,
        "refunded_amount": 251,
        "remaining_authorized_amount": 400,
    }
    captures, refunds = body["captures"], body["refunds"]
    assert isinstance(captures, list)
    assert isinstance(refunds, list)
    reference = body["klarna_reference"]
    assert [capture["klarna_reference"] for capture in captures] == [
        f"{reference}-1",
        f"{reference}-2",
    ]
    assert [capture.get("reference") for capture in captures] == [None, "r"]
    assert [refund.get("reference") for refund in refunds] == [None, "s"]


def test_it_expires_at_the_end_of_its_time_unless_something_was_captured() -> None:
    open_order, captured = an_order(), an_order(status="PART_CAPTURED")
    end_s = open_order.expires_at_s

    statuses = []
    for at_s in (end_s - 1, end_s):
        for order in (open_order, captured):
            order.let_expire(at_s)
            statuses.append(order.status)

    assert statuses == ["AUTHORIZED", "PART_CAPTURED", "EXPIRED", "PART_CAPTURED"]


@pytest.mark.parametrize(("amount", "status"), [(999, "PART_CAPTURED"), (1000, "CAPTURED")])
def test_it_counts_as_acknowledged_when_captured(amount: int, status: str) -> None:
    order = an_order(amount=1000, first_push_at_s=100)

    order.capture(StoredCapture("c", amount, 50))

    assert (order.status, order.acknowledged_at_s, order.acknowledge_effects) == (status, 50, 0)
    assert order.next_push_at_s() is None
