from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klarna import Order, parse_order
from klarna.calls import normal_order_id

ORDER_ID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"

DOCUMENT: dict[str, Any] = {
    "order_id": ORDER_ID,
    "status": "AUTHORIZED",
    "fraud_status": "ACCEPTED",
    "order_amount": 12500,
    "original_order_amount": 12500,
    "captured_amount": 0,
    "refunded_amount": 0,
    "remaining_authorized_amount": 12500,
    "purchase_currency": "SEK",
    "locale": "sv-SE",
    "order_lines": [{"reference": "A-1", "quantity": 1, "total_amount": 12500}],
    "klarna_reference": "K4MGTRZ1",
    "merchant_reference1": "1001",
    "merchant_reference2": "basket-77",
    "customer": {"date_of_birth": "1970-01-01"},
    "billing_address": {"given_name": "Ada", "email": "ada@example.com"},
    "expires_at": "2031-02-03T00:00:00.000Z",
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def test_it_reads_states_amounts_and_references_and_no_person() -> None:
    assert parse_order(DOCUMENT) == Order(
        order_id=ORDER_ID,
        status="AUTHORIZED",
        fraud_status="ACCEPTED",
        order_amount=12500,
        captured_amount=0,
        refunded_amount=0,
        remaining_authorized_amount=12500,
        purchase_currency="SEK",
        expires_at=datetime(2031, 2, 3, tzinfo=UTC),
        klarna_reference="K4MGTRZ1",
        merchant_reference1="1001",
        merchant_reference2="basket-77",
    )


def test_it_needs_no_more_than_the_id_and_the_status() -> None:
    order = parse_order({"order_id": ORDER_ID.upper(), "status": "SOMETHING_NEW"})
    assert order == Order(ORDER_ID, "SOMETHING_NEW", *[None] * 10)


@pytest.mark.parametrize("field", ["order_id", "status"])
@pytest.mark.parametrize("odd", [None, "", 7, ["AUTHORIZED"], {"a": 1}, True])
def test_it_refuses_an_order_without_id_or_status(field: str, odd: object) -> None:
    with pytest.raises(ValueError, match="no order_id or no status"):
        parse_order({**DOCUMENT, field: odd})


@pytest.mark.parametrize("document", [None, [], [DOCUMENT], "AUTHORIZED", 7, {}])
def test_it_refuses_what_is_no_order(document: object) -> None:
    with pytest.raises(ValueError, match="no order_id or no status"):
        parse_order(document)


@pytest.mark.parametrize(
    ("field", "odd"),
    [
        ("fraud_status", 1),
        ("order_amount", "12500"),
        ("order_amount", 125.0),
        ("order_amount", 2**63),
        ("order_amount", -(10**4_000)),
        ("captured_amount", True),
        ("purchase_currency", ["SEK"]),
        ("expires_at", "soon"),
        ("expires_at", 1927843200),
        ("expires_at", "0001-01-01T00:00:00+14:00"),
        ("klarna_reference", {}),
    ],
)
def test_it_reads_an_odd_field_as_missing(field: str, odd: object) -> None:
    assert getattr(parse_order({**DOCUMENT, field: odd}), field) is None


@pytest.mark.parametrize("text", ["2031-02-03T01:00:00+01:00", "2031-02-03T00:00:00", "2031-02-03"])
def test_it_reads_every_moment_as_utc(text: str) -> None:
    order = parse_order({**DOCUMENT, "expires_at": text})
    assert order.expires_at == datetime(2031, 2, 3, tzinfo=UTC)


def test_it_makes_texts_fit_for_a_log_line() -> None:
    order = parse_order({**DOCUMENT, "merchant_reference1": "a\r\n\ud800" + "b" * 300})
    assert order.merchant_reference1 == "a\ufffd\ufffd\ufffd" + "b" * 251


@given(odd=st.dictionaries(st.sampled_from(sorted(DOCUMENT)), json_values))
def test_it_survives_any_surprise(odd: dict[str, object]) -> None:
    order = parse_order({**DOCUMENT, **odd, "order_id": ORDER_ID, "status": "AUTHORIZED"})
    assert (order.order_id, order.status) == (ORDER_ID, "AUTHORIZED")


def test_it_takes_the_shape_of_an_id_for_enough_and_lowers_it() -> None:
    assert normal_order_id(ORDER_ID.upper()) == ORDER_ID


@pytest.mark.parametrize(
    "text",
    [
        "",
        ORDER_ID[:-1],
        ORDER_ID + "0",
        ORDER_ID + "\n",
        ORDER_ID.replace("-", ""),
        ORDER_ID.replace("a", "g"),
        f"../{ORDER_ID}",
        ORDER_ID.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}"),
    ],
)
def test_it_refuses_every_other_shape(text: str) -> None:
    with pytest.raises(ValueError, match="8-4-4-4-12"):
        normal_order_id(text)
