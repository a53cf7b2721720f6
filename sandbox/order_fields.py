"""Which of an order's fields the control side may set, and to what."""

import re

from sandbox.inputs import Fields
from sandbox.orders import FRAUD_STATUSES, STATUSES, StoredOrder

_MAX_AMOUNT = 10**12
_MAX_DELAY_S = 10**8
_CURRENCY = re.compile(r"[A-Z]{3}")
# Klarna's sets are open: a client must survive a word it does not know. Ours are told apart.
_MADE_UP = "X_"

STATE = (
    "status",
    "fraud_status",
    "amount",
    "currency",
    "visible_after_s",
    "merchant_reference1",
    "merchant_reference2",
    "other_merchant",
)


def set_state(order: StoredOrder, fields: Fields, now_s: float) -> None:
    """Set the fields given. Raises BadInputError, and then nothing is set."""
    status = _word(fields, "status", order.status, STATUSES)
    fraud_status = _fraud_status(fields, order.fraud_status)
    amount = fields.whole("amount", order.amount, 0, _MAX_AMOUNT)
    currency = fields.text("currency", order.currency, _CURRENCY)
    delay_s = fields.number("visible_after_s", 0, 0, _MAX_DELAY_S)
    reference1 = fields.text("merchant_reference1", order.merchant_reference1)
    reference2 = fields.text("merchant_reference2", order.merchant_reference2)
    order.other_merchant = fields.flag("other_merchant", default=order.other_merchant)
    order.status, order.fraud_status = status, fraud_status
    order.amount, order.currency = amount, currency
    order.merchant_reference1, order.merchant_reference2 = reference1, reference2
    if "visible_after_s" in fields:
        order.visible_at_s = now_s + delay_s


def _fraud_status(fields: Fields, present: str | None) -> str | None:
    given = fields.raw("fraud_status") if "fraud_status" in fields else present
    if given is None:
        return None  # Klarna may leave it out (doc)
    return _word(fields, "fraud_status", present or "", FRAUD_STATUSES)


def _word(fields: Fields, name: str, present: str, known: tuple[str, ...]) -> str:
    value = fields.raw(name) if name in fields else present
    if isinstance(value, str) and (value in known or value.startswith(_MADE_UP)):
        return value
    raise fields.refuse(
        name, f"one of {', '.join(known)}, or a made-up word starting with {_MADE_UP}"
    )
