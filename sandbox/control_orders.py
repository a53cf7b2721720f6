"""Control of orders: create, show, change, push one now."""

from sandbox.answers import ApiAnswer, json_answer
from sandbox.clock import iso
from sandbox.control_call import ControlCall, order_id_of
from sandbox.inputs import BadInputError, Fields
from sandbox.order_fields import STATE, set_state
from sandbox.orders import PushRecord, StoredOrder, new_order_id

_MAX_COUNT = 100_000
_MAX_DELAY_S = 10**8
_CREATE = ("order_id", "count", "push", "first_push_after_s", *STATE)


def create(call: ControlCall) -> ApiAnswer:
    """Create one order, or `count` alike; with `push` they are pushed on the schedule."""
    fields = call.fields(_CREATE)
    count = fields.whole("count", 1, 1, _MAX_COUNT)
    if "order_id" in fields and count > 1:
        raise BadInputError("count", "1 when order_id is given")
    push = fields.flag("push", default=False)
    if push:
        _need_push_url(call, "push")
    delay_s = fields.number("first_push_after_s", 0, 0, _MAX_DELAY_S)
    if "first_push_after_s" in fields and not push:
        raise BadInputError("first_push_after_s", "absent unless push is true")
    now_s = call.world.clock.now_s()
    orders = [_new_order(fields, now_s) for _ in range(count)]
    for order in orders:
        order.first_push_at_s = now_s + delay_s if push else None
        order.resends_s = call.world.settings.push_schedule_s
    with call.world.lock:
        for order in orders:
            if order.order_id in call.world.orders:
                raise BadInputError("order_id", "an id that is not in use")
        call.world.orders.update({order.order_id: order for order in orders})
    call.sender.schedule(orders)
    return json_answer(201, {"order_ids": [order.order_id for order in orders]})


def every(call: ControlCall) -> ApiAnswer:
    """Show all orders, oldest first."""
    with call.world.lock:
        shown = [_view(order) for order in call.world.orders.values()]
    return json_answer(200, shown)


def one(call: ControlCall) -> ApiAnswer:
    """Show what the sandbox knows of one order."""
    with call.world.lock:
        shown = _view(call.order(call.item))
    return json_answer(200, shown)


def change(call: ControlCall) -> ApiAnswer:
    """Change an order's state: all the fields given, or none of them."""
    fields = call.fields(STATE)
    with call.world.lock:
        order = call.order(call.item)
        set_state(order, fields, call.world.clock.now_s())
        shown = _view(order)
    call.sender.schedule([order])  # its pushes may have ended and now go on
    return json_answer(200, shown)


def push(call: ControlCall) -> ApiAnswer:
    """Push one order now, whatever its schedule; answers when the push was answered (max 5 s)."""
    fields = call.fields(["order_id"])
    if "order_id" not in fields:
        raise BadInputError("order_id", "given")
    order_id = order_id_of(fields, "")
    _need_push_url(call, "order_id")
    with call.world.lock:
        order = call.order(order_id)
    sent = call.sender.push(order)
    if sent is None:
        return json_answer(409, {"error": "the sandbox was reset while the push was under way"})
    return json_answer(201, push_view(sent))


def push_view(push: PushRecord) -> dict[str, object]:
    """Show a push as the control side does."""
    shown = {"seq": push.seq, "at": iso(push.at_s), "order_id": push.order_id, "url": push.url}
    return {**shown, "status": push.status, "ms": push.ms}


def _need_push_url(call: ControlCall, field: str) -> None:
    if call.world.push_url is None:
        raise BadInputError(field, "used after PUT /_control/pusher has said where pushes go")


def _new_order(fields: Fields, now_s: float) -> StoredOrder:
    order = StoredOrder(order_id_of(fields, new_order_id()), now_s, now_s)
    set_state(order, fields, now_s)
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
        "other_merchant": order.other_merchant,
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
