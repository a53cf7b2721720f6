"""An order as Klarna's GET shows one: the full shape, about 3 kB, made-up content."""

import json

_PLACEHOLDER = "00000000-0000-0000-0000-000000000000"

_PERSON = {
    "given_name": "Bente",
    "family_name": "Benchperson",
    "title": "",
    "street_address": "Benchgatan 1",
    "street_address2": "",
    "postal_code": "123 45",
    "city": "Benchstad",
    "region": "",
    "country": "SE",
    "email": "person@bench.example",
    "phone": "+46700000018",
}
_LINES = [
    {
        "reference": f"BENCH-{number}",
        "type": "physical",
        "quantity": 1,
        "quantity_unit": "pcs",
        "name": f"Bench spade of size {number}",
        "total_amount": 1_000,
        "unit_price": 1_000,
        "total_discount_amount": 0,
        "tax_rate": 2_500,
        "total_tax_amount": 200,
        "merchant_data": "",
        "product_url": f"https://shop.bench.example/spades/{number}",
        "image_url": f"https://shop.bench.example/images/spades/{number}.jpg",
    }
    for number in range(5)
]
_ORDER = {
    "order_id": _PLACEHOLDER,
    "status": "AUTHORIZED",
    "fraud_status": "ACCEPTED",
    "order_amount": 5_000,
    "original_order_amount": 5_000,
    "captured_amount": 0,
    "refunded_amount": 0,
    "remaining_authorized_amount": 5_000,
    "purchase_currency": "SEK",
    "locale": "sv-SE",
    "order_lines": _LINES,
    "merchant_reference1": "BENCH-ORDER-1",
    "merchant_reference2": "",
    "klarna_reference": "K4MADEUP",
    "customer": {"date_of_birth": "1941-03-17", "type": "person"},
    "billing_address": _PERSON,
    "shipping_address": _PERSON,
    "created_at": "2026-03-01T12:00:00.000Z",
    "purchase_country": "SE",
    "expires_at": "2026-03-29T00:00:00.000Z",
    "captures": [],
    "refunds": [],
    "initial_payment_method": {"type": "INVOICE", "description": "Pay later"},
}
_BEFORE, _, _AFTER = json.dumps(_ORDER).encode().partition(_PLACEHOLDER.encode())


def order_json(order_id: str) -> bytes:
    """Return the body of the answer to a GET of `order_id`."""
    return _BEFORE + order_id.encode() + _AFTER
