"""The JSON of an order as a GET shows it: the full shape of a real one (rec), made-up content.

The person in it is constant and easy to recognise, so that a test can search logs, pages and Redis
for a leak. There is no `acknowledged` field: Klarna has none.
"""

from sandbox.api.orders import CAPTURED_STATUSES, StoredOrder
from sandbox.clock import iso

# An authorization lives about 28 days, then ends at midnight UTC (rec, doc).
_LIFETIME_DAYS = 28
_DAY_S = 86_400
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


def order_body(order: StoredOrder, order_id: str | None = None) -> dict[str, object]:
    """Show the order, under another id if one is given. Amounts in minor units."""
    captured = order.status in CAPTURED_STATUSES
    part = order.amount // 2 if order.status == "PART_CAPTURED" else order.amount
    captured_amount = part if captured else 0
    reference = order.order_id.replace("-", "")[:8].upper()
    lines = [_order_line(order.amount)]
    capture = {
        "capture_id": order.order_id[:-1] + "c",
        "klarna_reference": f"{reference}-1",
        "captured_amount": captured_amount,
        "captured_at": iso(order.created_at_s),
        "description": "",
        "order_lines": lines,
        "refunded_amount": 0,
        "billing_address": PERSON,
        "shipping_address": PERSON,
    }
    fraud = {} if order.fraud_status is None else {"fraud_status": order.fraud_status}
    expires_s = (order.created_at_s // _DAY_S + _LIFETIME_DAYS) * _DAY_S
    return {
        "order_id": order_id or order.order_id,
        "status": order.status,
        **fraud,
        "order_amount": order.amount,
        "original_order_amount": order.amount,
        "captured_amount": captured_amount,
        "refunded_amount": 0,
        "remaining_authorized_amount": order.amount - captured_amount,
        "purchase_currency": order.currency,
        "locale": "sv-SE",
        "order_lines": lines,
        "merchant_reference1": order.merchant_reference1,
        "merchant_reference2": order.merchant_reference2,
        "klarna_reference": reference,
        "customer": {"date_of_birth": DATE_OF_BIRTH, "type": "person"},
        "billing_address": PERSON,
        "shipping_address": PERSON,
        "created_at": iso(order.created_at_s),
        "purchase_country": "SE",
        "expires_at": iso(expires_s),
        "captures": [capture] if captured else [],
        "refunds": [],
        "initial_payment_method": {"type": "INVOICE", "description": "Pay later"},
    }


def _order_line(amount: int) -> dict[str, object]:
    tax = amount * _TAX_RATE // (10_000 + _TAX_RATE)
    return {
        "reference": "SANDBOX-17",
        "type": "physical",
        "quantity": 1,
        "quantity_unit": "pcs",
        "name": "Sandbox spade",
        "total_amount": amount,
        "unit_price": amount,
        "total_discount_amount": 0,
        "tax_rate": _TAX_RATE,
        "total_tax_amount": tax,
    }
