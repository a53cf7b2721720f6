"""The models of what Klarna's calls take and give: nothing is lost, nothing personal is shown."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from pydantic import JsonValue, ValidationError

from klarna import (
    AuthorizationUpdate,
    CaptureRequest,
    MerchantReferences,
    OrderDetails,
    OrderLine,
    OrderLineType,
    OrderStatus,
    ShippingInfo,
    ShippingMethod,
)
from klarna.documents import AddedShippingInfo, Document
from tests.klarna_documents import REQUESTS, orders

ORDER: dict[str, JsonValue] = {
    "order_id": "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
    "status": "PART_CAPTURED",
    "fraud_status": "ACCEPTED",
    "order_amount": 12_500,
    "purchase_currency": "SEK",
    "created_at": "2031-01-02T03:04:05.678Z",
    "order_lines": [
        {
            "name": "Spade",
            "quantity": 1,
            "unit_price": 12_500,
            "total_amount": 12_500,
            "type": "physical",
            "product_identifiers": {"brand": "Bench"},
        }
    ],
    "billing_address": {"given_name": "Ada", "email": "ada@example.com"},
    "customer": {"date_of_birth": "1970-01-01", "type": "person"},
    "captures": [
        {
            "capture_id": "c-1",
            "captured_amount": 500,
            "captured_at": "2031-01-03T00:00:00Z",
            "shipping_address": {"given_name": "Ada"},
            "shipping_info": [{"shipping_method": "Home", "tracking_number": "1"}],
        }
    ],
    "refunds": [],
    "initial_payment_method": {"type": "INVOICE", "description": "Pay later"},
    "selected_shipping_option": {"id": "s-1", "timeslot": {"start": "noon"}},
    "brand_new": {"a": [None, 1.5]},
}
LINE = OrderLine(name="Spade", quantity=2, unit_price=600, total_amount=1_200)


def with_moments_read(value: JsonValue) -> object:
    """The document, with every moment as what it says, however it is written.

    What Klarna adds may be named like a moment and hold anything: it stays as it is.
    """
    if isinstance(value, dict):
        return {name: field_read(name, each) for name, each in value.items()}
    return [with_moments_read(each) for each in value] if isinstance(value, list) else value


def field_read(name: str, value: JsonValue) -> object:
    if name.startswith("new_"):
        return value
    is_moment = name.endswith("ed_at")
    return datetime.fromisoformat(str(value)) if is_moment else with_moments_read(value)


@given(orders)
def test_it_loses_nothing_of_an_order(document: dict[str, JsonValue]) -> None:
    order = OrderDetails.model_validate(document)
    again = json.loads(order.to_json())
    assert with_moments_read(again) == with_moments_read(document)
    assert OrderDetails.model_validate(again) == order


@pytest.mark.parametrize("model", REQUESTS)
def test_it_sends_what_it_was_given(model: type[Document]) -> None:
    @given(REQUESTS[model])
    def sent(document: dict[str, JsonValue]) -> None:
        request = model.model_validate(document)
        assert json.loads(request.to_json()) == document
        assert model.model_validate_json(request.to_json()) == request

    sent()


def test_it_reads_an_order() -> None:
    order = OrderDetails.model_validate(ORDER)
    assert order.status is OrderStatus.PART_CAPTURED
    assert order.created_at == datetime(2031, 1, 2, 3, 4, 5, 678_000, UTC)
    assert order.order_lines
    assert order.order_lines[0].type is OrderLineType.PHYSICAL
    assert order.captures
    assert order.captures[0].shipping_info == [
        ShippingInfo(shipping_method=ShippingMethod.HOME, tracking_number="1")
    ]
    assert order.model_extra == {"brand_new": {"a": [None, 1.5]}}


def test_it_keeps_a_word_that_nobody_knows_yet() -> None:
    line = {**LINE.model_dump(exclude_none=True), "type": "voucher"}
    order = OrderDetails.model_validate({**ORDER, "status": "REOPENED", "order_lines": [line]})
    assert order.status == "REOPENED"
    assert json.loads(order.to_json())["order_lines"] == [line]


@pytest.mark.parametrize(
    ("field", "odd"),
    [
        ("order_amount", "12500"),
        ("order_amount", 125.0),
        ("order_amount", True),
        ("status", 7),
        ("created_at", "Ada, yesterday"),
        ("order_lines", {"name": "Ada"}),
        ("billing_address", "Ada, 1 Street"),
    ],
)
def test_it_converts_nothing_and_names_the_field_without_its_value(field: str, odd: object) -> None:
    with pytest.raises(ValidationError, match=field) as caught:
        OrderDetails.model_validate({**ORDER, field: odd})
    assert "Ada" not in str(caught.value)


def test_it_shows_no_person() -> None:
    shown = repr(OrderDetails.model_validate(ORDER))
    assert "Ada" not in shown
    assert "1970" not in shown
    assert "order_amount=12500" in shown


@pytest.mark.parametrize(
    ("model", "document", "field"),
    [
        (AuthorizationUpdate, {"order_amount": 1}, "order_lines"),
        (AuthorizationUpdate, {"order_amount": -1, "order_lines": None}, "order_amount"),
        (AuthorizationUpdate, {"order_amount": 200_000_001, "order_lines": None}, "order_amount"),
        (AuthorizationUpdate, {"order_amount": 1, "order_lines": None, "amount": 1}, "amount"),
        (AuthorizationUpdate, {"order_amount": 1, "order_lines": [{"name": "a"}]}, "quantity"),
        (AuthorizationUpdate, {"order_amount": 1, "order_lines": [LINE] * 1_001}, "order_lines"),
        (MerchantReferences, {}, "merchant_reference1 or merchant_reference2"),
        (MerchantReferences, {"merchant_reference2": "x" * 256}, "merchant_reference2"),
        (MerchantReferences, {"merchant_reference3": "x"}, "merchant_reference3"),
        (AddedShippingInfo, {"shipping_info": []}, "shipping_info"),
        (CaptureRequest, {"captured_amount": 1, "description": "x" * 256}, "description"),
        (CaptureRequest, {}, "captured_amount"),
    ],
)
def test_it_refuses_what_klarna_would_not_take(
    model: type[Document], document: dict[str, object], field: str
) -> None:
    with pytest.raises(ValidationError, match=field):
        model.model_validate(document)


def test_it_has_to_be_said_that_lines_are_deleted() -> None:
    update = AuthorizationUpdate(order_amount=600, order_lines=None, description=None)
    assert json.loads(update.to_json()) == {"order_amount": 600}


def test_it_clears_a_reference_and_leaves_the_other() -> None:
    assert MerchantReferences(merchant_reference2="").to_json() == b'{"merchant_reference2":""}'
