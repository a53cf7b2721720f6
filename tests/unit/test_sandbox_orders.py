from dataclasses import replace
from typing import Any

import pytest

from sandbox.api.order_body import order_body
from sandbox.api.orders import (
    ORDER_ID,
    STATUSES,
    Acknowledging,
    StoredOrder,
    judge_acknowledge,
    new_order_id,
)
from sandbox.settings import SandboxSettings

_CLOSED = ("CANCELLED", "EXPIRED", "CLOSED")
_CAPTURED = ("PART_CAPTURED", "CAPTURED")


def an_order(**fields: Any) -> StoredOrder:  # noqa: ANN401 - the fields of Order
    return replace(StoredOrder(new_order_id(), 0, 0), **fields)


@pytest.mark.parametrize("status", STATUSES)
def test_it_refuses_to_acknowledge_what_is_closed(status: str) -> None:
    expected = Acknowledging.CLOSED if status in _CLOSED else Acknowledging.ACCEPTED

    assert judge_acknowledge(an_order(status=status), SandboxSettings()) is expected


@pytest.mark.parametrize("status", STATUSES)
def test_it_acknowledges_anything_with_the_switch_over(status: str) -> None:
    lenient = SandboxSettings(acknowledge_on_closed="204")

    assert judge_acknowledge(an_order(status=status), lenient) is Acknowledging.ACCEPTED


@pytest.mark.parametrize(
    ("switch", "verdict"), [("204", Acknowledging.ACCEPTED), ("403", Acknowledging.ALREADY)]
)
def test_it_takes_a_second_acknowledge_as_the_switch_says(
    switch: str, verdict: Acknowledging
) -> None:
    order = an_order()
    order.acknowledge(5)

    assert judge_acknowledge(order, SandboxSettings(second_acknowledge=switch)) is verdict


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


@pytest.mark.parametrize(("status", "captured"), [("CAPTURED", 1000), ("PART_CAPTURED", 500)])
def test_it_shows_captures(status: str, captured: int) -> None:
    body = order_body(an_order(status=status, amount=1000))

    assert (body["captured_amount"], body["remaining_authorized_amount"]) == (
        captured,
        1000 - captured,
    )
    assert isinstance(body["captures"], list)
    assert body["captures"][0]["captured_amount"] == captured
