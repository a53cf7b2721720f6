"""The calls of Klarna's page "View and change orders": each state, each documented error."""

import json
from typing import Any

import pytest

from sandbox.api.orders import STATUSES, StoredCapture
from sandbox.serving.answers import ApiAnswer
from tests.sandboxes import ORDER_ID, UNKNOWN_ID, SandboxCalls, error

_DONE = ApiAnswer(204)
_LINE = {"name": "Pears", "quantity": 2, "unit_price": 2500, "total_amount": 5000}
_PARCEL = {"shipping_company": "Post", "shipping_method": "Home", "tracking_number": "17"}

_NOT_ADDED = "Shipping info cannot be added to order"
_TOO_LITTLE = (
    "Resulting authorization amount 3999 cannot be less than the captured amount 4000 for order. "
    "Order authorization cannot be updated"
)
_NO_BILLING = (
    "Billing address cannot be updated for user account order. Customer details cannot be updated."
)

_ACKNOWLEDGE = "POST /acknowledge"
_AMOUNT = "PATCH /authorization"
_REFERENCES = "PATCH /merchant-references"
_ADDRESS = "PATCH /customer-details"
_SHIPPING = "POST /shipping-info"
_CANCEL = "POST /cancel"
_BODIES: dict[str, object] = {
    _ACKNOWLEDGE: None,
    _AMOUNT: {"order_amount": 9000},
    _REFERENCES: {"merchant_reference1": "A-1"},
    _ADDRESS: {"shipping_address": {"street_address": "Nygatan 2"}},
    _SHIPPING: {"shipping_info": [_PARCEL]},
    _CANCEL: None,
}


def in_state(status: str, **settings: Any) -> SandboxCalls:  # noqa: ANN401 - those of SandboxSettings
    """An order in a state, with captures where the state has some."""
    klarna = SandboxCalls(**settings)
    klarna.order.status = status
    if status in {"PART_CAPTURED", "CAPTURED"}:
        amount = 4000 if status == "PART_CAPTURED" else 10_000
        klarna.order.captures.append(StoredCapture("c", amount, 0))
    return klarna


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        (_ACKNOWLEDGE, {"AUTHORIZED", "PART_CAPTURED", "CAPTURED"}),
        (_AMOUNT, {"AUTHORIZED", "PART_CAPTURED"}),
        (_REFERENCES, {"AUTHORIZED", "PART_CAPTURED", "CAPTURED", "EXPIRED", "CLOSED"}),
        (_ADDRESS, {"AUTHORIZED", "PART_CAPTURED"}),
        (_SHIPPING, {"AUTHORIZED", "PART_CAPTURED", "CAPTURED"}),
        (_CANCEL, {"AUTHORIZED"}),
    ],
)
def test_it_allows_a_call_in_these_states_and_no_others(call: str, allowed: set[str]) -> None:
    taken = set()
    for status in STATUSES:
        klarna = in_state(status)
        before = klarna.shown()

        answer, entry = klarna(call, _BODIES[call])

        if entry.effect:
            assert answer == _DONE
            taken.add(status)
        else:
            code = "CANCEL_NOT_ALLOWED" if call == _CANCEL else "NOT_ALLOWED"
            assert error(answer)[:2] == (403, code)
            assert klarna.shown() == before
    assert taken == allowed


@pytest.mark.parametrize(
    ("switch", "value", "call", "status", "answers"),
    [
        ("acknowledge_on_closed", "204", _ACKNOWLEDGE, "CANCELLED", 204),
        ("references_on_closed", "403", _REFERENCES, "EXPIRED", 403),
        ("references_on_closed", "403", _REFERENCES, "AUTHORIZED", 204),
        ("references_on_closed", "204", _REFERENCES, "CANCELLED", 403),
        ("address_on_captured", "204", _ADDRESS, "CAPTURED", 204),
        ("address_on_captured", "204", _ADDRESS, "CLOSED", 403),
        ("shipping_info_on_closed", "204", _SHIPPING, "CANCELLED", 204),
        ("second_cancel", "204", _CANCEL, "CANCELLED", 204),
        ("second_cancel", "204", _CANCEL, "EXPIRED", 403),
    ],
)
def test_it_answers_what_is_assumed_as_the_switch_says(
    switch: str, value: str, call: str, status: str, answers: int
) -> None:
    klarna = in_state(status, **{switch: value})

    assert klarna(call, _BODIES[call])[0].status == answers


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("GET", f"Order {UNKNOWN_ID} cannot be found."),
        (_ACKNOWLEDGE, f"Order {UNKNOWN_ID} cannot be found. Acknowledgement not possible."),
        (_AMOUNT, f"Order {UNKNOWN_ID} cannot be found."),
        (_REFERENCES, "Order cannot be found. Merchant references cannot be updated."),
        (_ADDRESS, f"Order {UNKNOWN_ID} cannot be found."),
        (
            _SHIPPING,
            f"Order {UNKNOWN_ID} cannot be found. {_NOT_ADDED} {UNKNOWN_ID}.",
        ),
        (_CANCEL, f"Order {UNKNOWN_ID} cannot be found."),
        ("POST /captures", f"Order {UNKNOWN_ID} cannot be found."),
    ],
)
def test_it_says_with_klarnas_words_that_there_is_no_such_order(call: str, message: str) -> None:
    answer, _ = SandboxCalls()(call, _BODIES.get(call), order_id=UNKNOWN_ID)

    assert error(answer) == (404, "NO_SUCH_ORDER", [message])


def test_it_updates_amount_and_lines() -> None:
    klarna = SandboxCalls()
    body = {"order_amount": 5000, "description": "", "order_lines": [_LINE]}

    answer, entry = klarna(_AMOUNT, body)

    shown = klarna.shown()
    assert (answer, entry.effect, entry.call.name) == (_DONE, True, "update_authorization")
    assert (shown["order_amount"], shown["original_order_amount"]) == (5000, 10_000)
    assert (shown["remaining_authorized_amount"], shown["order_lines"]) == (5000, [_LINE])


def test_it_deletes_lines_that_are_left_out() -> None:
    klarna = SandboxCalls()

    klarna(_AMOUNT, {"order_amount": 5000})

    assert klarna.shown()["order_lines"] == []


def test_it_takes_a_whole_number_with_a_point_for_one() -> None:
    klarna = SandboxCalls()

    klarna(_AMOUNT, b'{"order_amount": 5000.0}')

    assert klarna.shown()["order_amount"] == 5000


def test_it_does_not_go_below_what_was_captured() -> None:
    klarna = in_state("PART_CAPTURED")

    refused, _ = klarna(_AMOUNT, {"order_amount": 3999})
    done, _ = klarna(_AMOUNT, {"order_amount": 4000})

    assert error(refused) == (
        403,
        "NOT_ALLOWED",
        [_TOO_LITTLE],
    )
    assert (done, klarna.shown()["remaining_authorized_amount"]) == (_DONE, 0)


@pytest.mark.parametrize(("increase", "status"), [("204", 204), ("403", 403)])
def test_it_takes_a_higher_amount_as_the_switch_says(increase: str, status: int) -> None:
    klarna = SandboxCalls(increase=increase)

    higher, _ = klarna(_AMOUNT, {"order_amount": 10_001})
    same, _ = klarna(_AMOUNT, {"order_amount": klarna.order.amount})

    assert (higher.status, same) == (status, _DONE)


def test_it_says_that_a_captured_order_cannot_be_updated() -> None:
    answer, _ = in_state("CAPTURED")(_AMOUNT, {"order_amount": 20_000})

    assert error(answer) == (403, "NOT_ALLOWED", ["Update not allowed."])


def test_it_sets_the_references_that_are_given_and_clears_with_an_empty_word() -> None:
    klarna = SandboxCalls()

    klarna(_REFERENCES, {"merchant_reference1": "A-1", "merchant_reference2": None})
    first = klarna.shown()
    klarna(_REFERENCES, {"merchant_reference2": ""})
    second = klarna.shown()

    assert (first["merchant_reference1"], first["merchant_reference2"]) == ("A-1", "sandbox-2")
    assert (second["merchant_reference1"], second["merchant_reference2"]) == ("A-1", "")


def test_it_changes_the_shipping_address_field_by_field() -> None:
    klarna = SandboxCalls()
    before = klarna.shown()
    change = {"street_address": "Nygatan 2", "region": "", "phone": ""}

    answer, _ = klarna(_ADDRESS, {"shipping_address": change})

    shown = klarna.shown()
    assert (answer, shown["billing_address"]) == (_DONE, before["billing_address"])
    assert shown["shipping_address"] == before["shipping_address"] | change


def test_it_does_not_touch_the_billing_address() -> None:
    answer, _ = SandboxCalls()(_ADDRESS, {"billing_address": {"city": "Elsewhere"}})

    assert error(answer) == (
        403,
        "NOT_ALLOWED",
        [_NO_BILLING],
    )


@pytest.mark.parametrize(
    "address", [{"postal_code": "12345678901"}, {"city": ""}, {"street_address": 5}]
)
def test_it_knows_an_address_that_is_none(address: dict[str, object]) -> None:
    klarna = SandboxCalls()
    before = klarna.shown()

    answer, _ = klarna(_ADDRESS, {"shipping_address": address})

    assert error(answer) == (
        422,
        "INVALID_ADDRESS",
        ["The shipping and/or billing address is invalid"],
    )
    assert klarna.shown() == before


def test_it_adds_parcels_to_those_it_knows() -> None:
    klarna = SandboxCalls()
    second = {"return_tracking_uri": "http://shipping.example/1"}

    klarna(_SHIPPING, {"shipping_info": [_PARCEL]})
    klarna(_SHIPPING, {"shipping_info": [second]})

    assert klarna.shown()["shipping_info"] == [_PARCEL, second]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("PART_CAPTURED", "Order has previous captures. Cancel not possible."),
        ("CANCELLED", "Order is already cancelled. Cancel not possible."),
        ("CLOSED", "Order is closed. Cancel not possible."),
    ],
)
def test_it_says_why_it_does_not_cancel(status: str, message: str) -> None:
    answer, _ = in_state(status)(_CANCEL)

    assert error(answer) == (403, "CANCEL_NOT_ALLOWED", [message])


def test_it_cancels_and_leaves_the_rest_as_it_was() -> None:
    klarna = SandboxCalls()
    before = klarna.shown()

    answer, entry = klarna(_CANCEL)

    assert (answer, entry.effect) == (_DONE, True)
    assert klarna.shown() == before | {"status": "CANCELLED"}


@pytest.mark.parametrize(
    ("call", "body", "refusal"),
    [
        (_AMOUNT, b"", (400, "BAD_VALUE", ["Bad value: body"])),
        (_AMOUNT, b"{", (400, "BAD_VALUE", ["Bad value: body"])),
        (_AMOUNT, [1], (400, "BAD_VALUE", ["Bad value: body"])),
        (_AMOUNT, b"[" * 100_000, (400, "BAD_VALUE", ["Bad value: body"])),
        (_AMOUNT, {"x": 1}, (400, "BAD_VALUE", ["Bad value: order_amount"])),
        (_AMOUNT, {"order_amount": -1}, (400, "BAD_VALUE", ["Bad value: order_amount"])),
        (_AMOUNT, {"order_amount": 59.9}, (400, "BAD_VALUE", ["Bad value: order_amount"])),
        (_AMOUNT, {"order_amount": "60"}, (400, "BAD_VALUE", ["Bad value: order_amount"])),
        (_AMOUNT, {"order_amount": 200_000_001}, (400, "BAD_VALUE", ["Bad value: order_amount"])),
        (
            _AMOUNT,
            {"order_amount": 1, "order_lines": [_LINE | {"total_amount": None}]},
            (400, "BAD_VALUE", ["Bad value: total_amount"]),
        ),
        (
            _REFERENCES,
            {"merchant_reference1": "x" * 256},
            (
                422,
                "UNPROCESSABLE_ENTITY",
                ["The size of the merchant_reference1 value must be between 0 and 255"],
            ),
        ),
        (
            _SHIPPING,
            {"shipping_info": [{"shipping_company": "x" * 101}]},
            (
                422,
                "UNPROCESSABLE_ENTITY",
                ["The size of the shipping_info/shipping_company value must be between 0 and 100"],
            ),
        ),
        (
            _SHIPPING,
            {"shipping_info": [{}] * 501},
            (
                422,
                "UNPROCESSABLE_ENTITY",
                ["The size of the shipping_info value must be between 1 and 500"],
            ),
        ),
        (_SHIPPING, {"shipping_info": []}, (400, "BAD_VALUE", ["Bad value: shipping_info"])),
        (
            _SHIPPING,
            {"shipping_info": [{"shipping_method": "Drone"}]},
            (400, "BAD_VALUE", ["Bad value: shipping_method"]),
        ),
        (_REFERENCES, b" " * 1_048_577, (413, "REQUEST_TOO_LARGE", ["Request is too large"])),
    ],
)
def test_it_refuses_a_bad_body_and_changes_nothing(
    call: str, body: object, refusal: tuple[int, str, list[str]]
) -> None:
    klarna = SandboxCalls()
    before = klarna.shown()

    answer, entry = klarna(call, body)

    assert (error(answer), entry.effect) == (refusal, False)
    assert klarna.shown() == before


def test_it_gives_a_bad_value_the_status_it_was_told() -> None:
    answer, _ = SandboxCalls(bad_value="422")(_AMOUNT, {})

    assert error(answer) == (422, "BAD_VALUE", ["Bad value: order_amount"])


def test_it_repeats_the_first_answer_of_a_key_for_a_day_and_acts_once() -> None:
    klarna = SandboxCalls()

    first, _ = klarna(_SHIPPING, {"shipping_info": [_PARCEL]}, key="k")
    other, entry = klarna(_AMOUNT, {"order_amount": 1}, key="k")
    shown = klarna.shown()
    klarna.state.clock.advance(24 * 3600)
    klarna(_AMOUNT, {"order_amount": 1}, key="k")

    assert (first, other, entry.replayed, entry.effect) == (_DONE, _DONE, True, False)
    assert (shown["order_amount"], shown["shipping_info"]) == (10_000, [_PARCEL])
    assert klarna.shown()["order_amount"] == 1


@pytest.mark.parametrize(
    ("call", "status", "code", "headers"),
    [
        ("PUT /authorization", 405, "METHOD_NOT_ALLOWED", {"Allow": "PATCH"}),
        ("DELETE /captures", 405, "METHOD_NOT_ALLOWED", {"Allow": "POST, GET"}),
        ("POST /nothing", 404, "NOT_IN_SANDBOX", {}),
        ("GET /captures/a/b/c", 404, "NOT_IN_SANDBOX", {}),
    ],
)
def test_it_is_honest_about_what_klarna_does_not_have(
    call: str, status: int, code: str, headers: dict[str, str]
) -> None:
    answer, entry = SandboxCalls()(call, {})

    assert error(answer)[:2] == (status, code)
    assert (dict(answer.headers), entry.call.name, entry.effect) == (headers, "unknown", False)


def test_it_tells_the_order_of_the_log_from_its_calls() -> None:
    klarna = SandboxCalls()

    names = [klarna(call, body)[1].call.name for call, body in _BODIES.items()]

    assert names == [
        "acknowledge",
        "update_authorization",
        "update_merchant_references",
        "update_customer_details",
        "add_shipping_info",
        "cancel",
    ]
    assert [entry.order_id for entry in klarna.state.request_log.since(0)] == [ORDER_ID] * 6


def test_it_shows_no_more_than_was_known_of_an_order_line() -> None:
    klarna = SandboxCalls()

    klarna(_AMOUNT, {"order_amount": 5000, "order_lines": [_LINE | {"made_up": 1}]})

    assert json.loads(json.dumps(klarna.shown()["order_lines"])) == [_LINE]
