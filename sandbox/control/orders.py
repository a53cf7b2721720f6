"""Control of orders: create, show, change, push one now."""

import re

from sandbox.api.order_body import order_lines
from sandbox.api.orders import (
    CAPTURED_STATUSES,
    FRAUD_STATUSES,
    STATUSES,
    StoredCapture,
    StoredOrder,
    new_order_id,
)
from sandbox.clock import iso
from sandbox.control.call import ControlCall, http_url_of, order_id_of
from sandbox.control.inputs import BadInputError, Fields
from sandbox.pushing.schedule import PushRecord
from sandbox.serving.answers import ApiAnswer, json_answer

_MAX_COUNT = 100_000
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
    "merchant",
    "other_merchant",
    "push_url",
)
_CREATE = ("order_id", "count", "push", "first_push_after_s", *STATE)


def create(call: ControlCall) -> ApiAnswer:
    """Create one order, or `count` alike; with `push` they are pushed on the schedule."""
    fields = call.fields(_CREATE)
    count = fields.whole("count", 1, 1, _MAX_COUNT)
    if "order_id" in fields and count > 1:
        raise BadInputError("count", "1 when order_id is given")
    push = fields.flag("push", default=False)
    if push and "push_url" not in fields:
        _need_push_url(call, "push")
    delay_s = fields.number("first_push_after_s", 0, 0, _MAX_DELAY_S)
    if "first_push_after_s" in fields and not push:
        raise BadInputError("first_push_after_s", "absent unless push is true")
    now_s = call.state.clock.now_s()
    orders = [_new_order(call, fields, now_s) for _ in range(count)]
    for order in orders:
        order.first_push_at_s = now_s + delay_s if push else None
        order.resends_s = call.state.settings.push_schedule_s
    with call.state.lock:
        for order in orders:
            if order.order_id in call.state.orders:
                raise BadInputError("order_id", "an id that is not in use")
        call.state.orders.update({order.order_id: order for order in orders})
    call.sender.schedule(orders)
    return json_answer(201, {"order_ids": [order.order_id for order in orders]})


def every(call: ControlCall) -> ApiAnswer:
    """Show all orders, oldest first."""
    with call.state.lock:
        shown = [_view(order) for order in call.state.orders.values()]
    return json_answer(200, shown)


def one(call: ControlCall) -> ApiAnswer:
    """Show what the sandbox knows of one order."""
    with call.state.lock:
        shown = _view(call.order(call.item))
    return json_answer(200, shown)


def change(call: ControlCall) -> ApiAnswer:
    """Change an order's state: all the fields given, or none of them."""
    fields = call.fields(STATE)
    with call.state.lock:
        order = call.order(call.item)
        _set_state(order, fields, call)
        shown = _view(order)
    call.sender.schedule([order])  # its pushes may have ended and now go on
    return json_answer(200, shown)


def push(call: ControlCall) -> ApiAnswer:
    """Push one order now, whatever its schedule; answers when the push was answered (max 5 s)."""
    fields = call.fields(["order_id"])
    if "order_id" not in fields:
        raise BadInputError("order_id", "given")
    order_id = order_id_of(fields, "")
    with call.state.lock:
        order = call.order(order_id)
    if order.push_url is None:
        _need_push_url(call, "order_id")
    sent = call.sender.push(order)
    if sent is None:
        return json_answer(409, {"error": "the sandbox was reset while the push was under way"})
    return json_answer(201, push_view(sent))


def push_view(push: PushRecord) -> dict[str, object]:
    """Show a push as the control side does."""
    shown = {"seq": push.seq, "at": iso(push.at_s), "order_id": push.order_id, "url": push.url}
    return {**shown, "status": push.status, "ms": push.ms}


def _need_push_url(call: ControlCall, field: str) -> None:
    if call.state.push_url is None:
        raise BadInputError(field, "used after PUT /_control/pusher has said where pushes go")


def _new_order(call: ControlCall, fields: Fields, now_s: float) -> StoredOrder:
    order = StoredOrder(order_id_of(fields, new_order_id()), now_s, now_s)
    _set_state(order, fields, call)
    return order


def _view(order: StoredOrder) -> dict[str, object]:
    return {
        "order_id": order.order_id,
        "status": order.status,
        "fraud_status": order.fraud_status,
        "amount": order.amount,
        "currency": order.currency,
        "merchant_reference1": order.merchant_reference1,
        "merchant_reference2": order.merchant_reference2,
        "merchant": order.merchant,
        "other_merchant": order.other_merchant,
        "push_url": order.push_url,
        "created_at": iso(order.created_at_s),
        "visible_at": iso(order.visible_at_s),
        "acknowledged": order.acknowledged_at_s is not None,
        "acknowledge_effects": order.acknowledge_effects,
        "acknowledged_at": iso(order.acknowledged_at_s),
        "requests": order.requests,
        "pushes": [
            {"at": iso(push.at_s), "status": push.status, "ms": push.ms} for push in order.pushes
        ],
        "next_push_at": iso(order.next_push_at_s()),
    }


def _set_state(order: StoredOrder, fields: Fields, call: ControlCall) -> None:
    """Set the fields given. Raises BadInputError, and then nothing is set."""
    status = _word(fields, "status", order.status, STATUSES)
    fraud_status = _fraud_status(fields, order.fraud_status)
    amount = fields.whole("amount", order.amount, 0, _MAX_AMOUNT)
    currency = fields.text("currency", order.currency, _CURRENCY)
    delay_s = fields.number("visible_after_s", 0, 0, _MAX_DELAY_S)
    given = ("merchant_reference1", "merchant_reference2")
    references = {name: fields.text(name, "") for name in given if name in fields}
    merchant = _merchant(fields, call) if "merchant" in fields else order.merchant
    push_url = http_url_of(fields, "push_url") if "push_url" in fields else order.push_url
    order.other_merchant = fields.flag("other_merchant", default=order.other_merchant)
    order.status, order.fraud_status, order.currency = status, fraud_status, currency
    order.merchant, order.push_url = merchant, push_url
    for name, reference in references.items():
        setattr(order, name, reference)
    if "amount" in fields:
        order.amount = order.original_amount = amount
    if "visible_after_s" in fields:
        order.visible_at_s = call.state.clock.now_s() + delay_s
    if "status" in fields or _is_made_up(order, order.captures):
        _fit_captures(order)


def _fit_captures(order: StoredOrder) -> None:
    """Make the captures fit a status that was set by hand: half of a PART_CAPTURED order."""
    if order.status in CAPTURED_STATUSES:
        amount = order.amount // 2 if order.status == "PART_CAPTURED" else order.amount
        lines, at_s = order_lines(order), order.created_at_s
        order.captures = [StoredCapture(_made_up_id(order), amount, at_s, order_lines=lines)]
    elif order.status in {"AUTHORIZED", "CANCELLED", "EXPIRED"}:
        order.captures, order.refunds = [], []


def _is_made_up(order: StoredOrder, captures: list[StoredCapture]) -> bool:
    return [capture.capture_id for capture in captures] == [_made_up_id(order)]


def _made_up_id(order: StoredOrder) -> str:
    return order.order_id[:-1] + "c"


def _merchant(fields: Fields, call: ControlCall) -> str:
    settings = call.state.settings
    return fields.choice("merchant", "", (settings.username, *settings.merchants))


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
