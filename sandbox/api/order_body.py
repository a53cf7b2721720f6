"""The JSON of an order as a GET shows it: the full shape of a real one (rec), made-up content.

The person in it is constant and easy to recognise, so that a test can search logs, pages and Redis
for a leak. There is no `acknowledged` field: Klarna has none.
"""

from sandbox.api.orders import JsonObject, StoredCapture, StoredOrder, StoredRefund
from sandbox.clock import iso

_TAX_RATE = 2_500  # 25 %, in hundredths of a per cent, as Klarna counts

PERSON = {
    "given_name": "Sandra",
    "family_name": "Sandboxperson",
    "title": "",
    "street_address": "Sandboxgatan 1",
    "street_address2": "",
    "postal_code": "123 45",
    "city": "Sandboxstad",
    "region": "",
    "country": "SE",
    "email": "person@sandbox.example",
    "phone": "+46700000017",
}
DATE_OF_BIRTH = "1941-03-17"


def order_body(order: StoredOrder) -> JsonObject:
    """Show the order. Amounts in minor units."""
    fraud = {} if order.fraud_status is None else {"fraud_status": order.fraud_status}
    parcels = {"shipping_info": order.shipping_info} if order.shipping_info else {}
    return {
        "order_id": order.order_id,
        "status": order.status,
        **fraud,
        "order_amount": order.amount,
        "original_order_amount": order.original_amount,
        "captured_amount": order.captured_amount,
        "refunded_amount": order.refunded_amount,
        "remaining_authorized_amount": order.remaining_amount,
        "purchase_currency": order.currency,
        "locale": "sv-SE",
        "order_lines": order_lines(order),
        "merchant_reference1": order.merchant_reference1,
        "merchant_reference2": order.merchant_reference2,
        "klarna_reference": _klarna_reference(order),
        "customer": {"date_of_birth": DATE_OF_BIRTH, "type": "person"},
        "billing_address": PERSON,
        "shipping_address": {**PERSON, **order.shipping_address},
        **parcels,
        "created_at": iso(order.created_at_s),
        "purchase_country": "SE",
        "expires_at": iso(order.expires_at_s),
        "captures": captures_body(order),
        "refunds": [refund_body(refund) for refund in order.refunds],
        "initial_payment_method": {"type": "INVOICE", "description": "Pay later"},
    }


def captures_body(order: StoredOrder) -> list[JsonObject]:
    """Show all captures of the order."""
    return [capture_body(order, capture) for capture in order.captures]


def capture_body(order: StoredOrder, capture: StoredCapture) -> JsonObject:
    """Show a capture. What was refunded of it is not told apart: a refund is of the order (rec)."""
    number = order.captures.index(capture) + 1
    shown: JsonObject = {
        "capture_id": capture.capture_id,
        "klarna_reference": f"{_klarna_reference(order)}-{number}",
        "captured_amount": capture.amount,
        "captured_at": iso(capture.at_s),
        "description": capture.description,
        "order_lines": capture.order_lines,
        "refunded_amount": 0,
        "billing_address": PERSON,
        "shipping_address": {**PERSON, **order.shipping_address},
        "shipping_info": capture.shipping_info,
    }
    return shown if capture.reference is None else shown | {"reference": capture.reference}


def refund_body(refund: StoredRefund) -> JsonObject:
    """Show a refund."""
    shown: JsonObject = {
        "refund_id": refund.refund_id,
        "refunded_amount": refund.amount,
        "refunded_at": iso(refund.at_s),
        "description": refund.description,
        "order_lines": refund.order_lines,
    }
    return shown if refund.reference is None else shown | {"reference": refund.reference}


def order_lines(order: StoredOrder) -> list[JsonObject]:
    """Show the order's lines: those it was given, or one of its amount."""
    if order.order_lines is not None:
        return order.order_lines
    return [
        {
            "reference": "SANDBOX-17",
            "type": "physical",
            "quantity": 1,
            "quantity_unit": "pcs",
            "name": "Sandbox spade",
            "total_amount": order.amount,
            "unit_price": order.amount,
            "total_discount_amount": 0,
            "tax_rate": _TAX_RATE,
            "total_tax_amount": order.amount * _TAX_RATE // (10_000 + _TAX_RATE),
        }
    ]


def _klarna_reference(order: StoredOrder) -> str:
    return order.order_id.replace("-", "")[:8].upper()
