"""Any JSON that the models of Klarna's calls take: fields and words that nobody knows included."""

from datetime import UTC
from typing import Any

from hypothesis import strategies as st
from pydantic import JsonValue

from klarna import (
    Address,
    AuthorizationUpdate,
    CaptureRequest,
    FraudStatus,
    MerchantReferences,
    OrderLineType,
    OrderStatus,
    ShippingMethod,
)
from klarna.documents import AddedShippingInfo, CustomerDetails, Document

texts = st.text(st.characters(codec="utf-8"), max_size=20)
amounts = st.integers(0, 200_000_000)
anything: st.SearchStrategy[JsonValue] = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
moments = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat())


def documents(
    required: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[dict[str, JsonValue]]:
    """Objects with some of the fields, and with fields that nobody knows."""
    unknown = st.dictionaries(texts.map(lambda name: f"new_{name}"), anything, max_size=2)
    known = st.fixed_dictionaries(required, optional=optional)
    return st.builds(lambda ours, theirs: {**theirs, **ours}, known, unknown)


def words(known: type[Any]) -> st.SearchStrategy[str]:
    return st.sampled_from([str(each) for each in known]) | texts


addresses = documents({}, dict.fromkeys(Address.model_fields, texts))
lines = documents(
    {"name": texts, "quantity": amounts, "unit_price": amounts, "total_amount": amounts},
    {"type": words(OrderLineType), "tax_rate": amounts, "merchant_data": texts},
)
parcels = documents(
    {}, {"shipping_method": words(ShippingMethod), "tracking_number": texts, "tracking_uri": texts}
)
captures = documents(
    {},
    {
        "capture_id": texts,
        "captured_amount": amounts,
        "captured_at": moments,
        "order_lines": st.lists(lines, max_size=2),
        "shipping_address": addresses,
        "shipping_info": st.lists(parcels, max_size=2),
    },
)
orders = documents(
    {"order_id": texts, "status": words(OrderStatus)},
    {
        "fraud_status": words(FraudStatus),
        "order_amount": st.integers(-(2**63), 2**63 - 1),
        "merchant_reference1": texts,
        "created_at": moments,
        "order_lines": st.lists(lines, max_size=2),
        "billing_address": addresses,
        "captures": st.lists(captures, max_size=2),
        "selected_shipping_option": st.dictionaries(texts, anything, max_size=2),
    },
)


REQUESTS: dict[type[Document], st.SearchStrategy[dict[str, JsonValue]]] = {
    AuthorizationUpdate: st.fixed_dictionaries(
        {"order_amount": amounts, "order_lines": st.lists(lines, max_size=2)},
        optional={"description": texts},
    ),
    MerchantReferences: st.fixed_dictionaries(
        {"merchant_reference1": texts}, optional={"merchant_reference2": texts}
    ),
    CustomerDetails: st.fixed_dictionaries({"shipping_address": addresses}),
    AddedShippingInfo: st.fixed_dictionaries(
        {"shipping_info": st.lists(parcels, min_size=1, max_size=2)}
    ),
    CaptureRequest: st.fixed_dictionaries(
        {"captured_amount": amounts},
        optional={
            "description": texts,
            "reference": texts,
            "order_lines": st.lists(lines, max_size=2),
            "shipping_info": st.lists(parcels, max_size=2),
            "shipping_delay": amounts,
        },
    ),
}
