"""What is sent to the merchant's own system: names, bodies and addresses of messages. Pure.

Amounts are in minor units. Never a person's data.
"""

import json
from datetime import datetime
from urllib.parse import parse_qsl, unquote_plus, urlsplit
from uuid import UUID, uuid5

from klarna import Order
from pushes import fraud
from pushes.accounts.policies import PATH
from pushes.model import Push, PushKey
from pushes.store import codec, keys
from worker.attempt.failures import NoPathError

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


def push_url(url: str, push: Push) -> str:
    """Return the URL to which a plugin gets the push: its own, with what our push URL brought.

    `{path}` in it stands for the path, the query is added to its own. The order id is in it always.
    Raises NoPathError when the push brought no path and the URL wants one.
    """
    path, _, query = (push.push_target or "").partition("?")
    if PATH in url and not path:
        raise NoPathError("the push brought no path, and the url of hand_over wants one: {path}")
    url = with_order_id(url, push).replace(PATH, path)
    own = {name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    url = _with_query(url, *(part for part in query.split("&") if part and _name(part) not in own))
    if push.key.order_id not in url.lower():  # nothing is known of the push: `klarna-ack push`
        url = _with_query(url, f"klarna_order_id={push.key.order_id}")
    return url


def with_order_id(url: str, push: Push) -> str:
    """Put the order id where a URL wants it."""
    for placeholder in _PLACEHOLDERS:
        url = url.replace(placeholder, push.key.order_id)
    return url


def _with_query(url: str, *parts: str) -> str:
    for part in parts:
        separator = "" if url.endswith(("?", "&")) else "&" if "?" in url else "?"
        url = f"{url}{separator}{part}"
    return url


def _name(part: str) -> str:
    return unquote_plus(part.partition("=")[0])


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
