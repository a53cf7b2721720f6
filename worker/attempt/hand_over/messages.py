"""What is sent to the merchant's own system: names, bodies and addresses of messages. Pure.

Amounts are in minor units. Never a person's data.
"""

import json
from datetime import datetime
from uuid import UUID, uuid5

from klarna import Order
from pushes import fraud
from pushes.model import Push, PushKey
from pushes.store import codec, keys

# Ours alone, so that no other program's UUIDv5 of the same name is the same id.
_NAMESPACE = UUID("5b1f2c1e-8f0d-5a44-9a37-3d1c6a0e7f52")

# Where Klarna puts the order id into a push URL (Klarna docs, "Push"), and our own word for it.
_PLACEHOLDERS = ("{checkout.order.id}", "{order.id}", "{order_id}")

Document = dict[str, object]


def order_message_id(key: PushKey) -> str:
    """Name the message that hands an order over, the same however often it is sent."""
    return f"msg_{uuid5(_NAMESPACE, f'order:{keys.job_id(key)}')}"


def decision_message_id(push: Push) -> str:
    """Name the message that hands a fraud decision over, the same however often it is sent.

    When the notification came is part of it: Klarna may decide the same anew later on.
    """
    came = codec.epoch(push.notified_at) if push.notified_at else 0
    return f"msg_{uuid5(_NAMESPACE, f'fraud:{keys.job_id(push.key)}:{push.fraud_event}:{came}')}"


def order_body(push: Push, order: Order, at: datetime) -> bytes:
    """Say what we know of an order that is handed over."""
    return _body("order.verified", at, _data(push, order))


def decision_body(push: Push, order: Order, at: datetime) -> bytes:
    """Say what Klarna has decided about the risk of an order, in our word and in Klarna's."""
    decision = fraud.decision_of(push.fraud_event or "").replace("_", ".", 1)
    return _body(decision, at, {"event_type": push.fraud_event, **_data(push, order)})


def notification(push: Push) -> bytes:
    """Repeat Klarna's own fraud notification (Klarna docs, "Pending orders")."""
    return _json({"order_id": push.key.order_id, "event_type": push.fraud_event})


def plugin_url(url: str, push: Push) -> str:
    """Put the order id where the URL of a plugin wants it."""
    for placeholder in _PLACEHOLDERS:
        url = url.replace(placeholder, push.key.order_id)
    return url


def _body(kind: str, at: datetime, data: Document) -> bytes:
    sent_at = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _json({"type": kind, "timestamp": sent_at, "data": data})


def _json(document: Document) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _data(push: Push, order: Order) -> Document:
    return {
        "account": push.key.account,
        "order_id": order.order_id,
        "status": order.status,
        "fraud_status": order.fraud_status,
        "order_amount": order.order_amount,
        "purchase_currency": order.purchase_currency,
        "expires_at": order.expires_at.isoformat() if order.expires_at else None,
        "klarna_reference": order.klarna_reference,
        "merchant_reference1": order.merchant_reference1,
        "merchant_reference2": order.merchant_reference2,
    }
