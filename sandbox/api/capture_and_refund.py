"""The calls of "Capture and track orders" and "Refund and extend orders", all but their pages."""

from uuid import uuid4

from sandbox.api.bodies import (
    AddShippingInfoBody,
    CaptureBody,
    ExtendDueDateBody,
    RefundBody,
    read_body,
    shown_all,
)
from sandbox.api.calls import DONE, CallContext, Outcome, RefusedError
from sandbox.api.order_body import capture_body, captures_body, refund_body
from sandbox.api.orders import CLOSED_STATUSES, StoredCapture, StoredOrder, StoredRefund
from sandbox.serving.answers import json_answer

# What the sandbox offers a customer who wants to pay later; the fee in minor units.
_DUE_DATE_OPTIONS = ({"number_of_days": 14, "amount": 0}, {"number_of_days": 30, "amount": 2_900})
_EXTENSION_DAYS = 28


def capture(order: StoredOrder, context: CallContext) -> Outcome:
    """Capture a part or all of what remains; the order counts as acknowledged then (doc).

    Refused when the order is cancelled, expired or closed, or less remains than is wanted (doc).
    """
    wanted = read_body(CaptureBody, context.body, context.settings)
    pending = order.fraud_status not in {None, "ACCEPTED"}
    if (
        order.status in CLOSED_STATUSES
        or context.now_s >= order.expires_at_s
        or not 0 < wanted.captured_amount <= order.remaining_amount
        or (pending and context.settings.capture_while_pending == "403")
    ):
        raise RefusedError(403, "Capture not allowed", "CAPTURE_NOT_ALLOWED")
    made = StoredCapture(
        str(uuid4()),
        wanted.captured_amount,
        context.now_s,
        wanted.description or "",
        wanted.reference,
        shown_all(wanted.order_lines),
        shown_all(wanted.shipping_info),
    )
    order.capture(made)
    return context.created("captures", made.capture_id, "Capture-Id")


def get_captures(order: StoredOrder, _: CallContext) -> Outcome:
    """Show all captures."""
    return Outcome(json_answer(200, captures_body(order)))


def get_capture(order: StoredOrder, context: CallContext) -> Outcome:
    """Show one capture."""
    return Outcome(json_answer(200, capture_body(order, _capture(order, context.item))))


def add_capture_shipping_info(order: StoredOrder, context: CallContext) -> Outcome:
    """Add parcels to those of a capture."""
    wanted = read_body(AddShippingInfoBody, context.body, context.settings)
    captured = _capture(order, context.item, "Shipping info cannot be added to capture {}.")
    captured.shipping_info += shown_all(wanted.shipping_info)
    return DONE


def trigger_send_out(order: StoredOrder, context: CallContext) -> Outcome:
    """Send the customer the messages of a capture again: here nobody is written to."""
    _capture(order, context.item)
    return DONE


def get_due_date_options(order: StoredOrder, context: CallContext) -> Outcome:
    """Show by how many days a capture can be paid later, and for which fee."""
    _capture(order, context.item)
    return Outcome(json_answer(200, {"currency": order.currency, "options": _DUE_DATE_OPTIONS}))


def extend_due_date(order: StoredOrder, context: CallContext) -> Outcome:
    """Let the customer pay a capture later, by a number of days that is offered."""
    wanted = read_body(ExtendDueDateBody, context.body, context.settings)
    _capture(order, context.item)
    if wanted.number_of_days not in {option["number_of_days"] for option in _DUE_DATE_OPTIONS}:
        raise RefusedError(403, "Extension of due date is not possible.")
    return DONE


def refund(order: StoredOrder, context: CallContext) -> Outcome:
    """Give back a part or all of what was captured and not given back yet (doc)."""
    wanted = read_body(RefundBody, context.body, context.settings)
    if not order.captures:
        raise _not_refunded("Order has no captures. Refund not possible")
    if wanted.refunded_amount > order.captured_amount - order.refunded_amount:
        raise _not_refunded("Over refund is not allowed. Refund not possible.")
    made = StoredRefund(
        str(uuid4()),
        wanted.refunded_amount,
        context.now_s,
        wanted.description or "",
        wanted.reference,
        shown_all(wanted.order_lines),
    )
    order.refunds.append(made)
    return context.created("refunds", made.refund_id, "Refund-Id")


def get_refund(order: StoredOrder, context: CallContext) -> Outcome:
    """Show one refund."""
    for each in order.refunds:
        if each.refund_id == context.item:
            return Outcome(json_answer(200, refund_body(each)))
    raise RefusedError(
        404, f"Refund {context.item} cannot be found for order {order.order_id}", "NOT_FOUND"
    )


def release_remaining_authorization(order: StoredOrder, _: CallContext) -> Outcome:
    """Give up what remains authorized. Refused when cancelled or without captures (doc)."""
    if order.status in CLOSED_STATUSES or not order.captures:
        raise RefusedError(403, "Remaining authorization cannot be released.")
    if not order.remaining_amount:
        raise RefusedError(
            403, "Order is fully captured. Remaining authorization cannot be released."
        )
    order.released_amount += order.remaining_amount
    return DONE


def extend_authorization_time(order: StoredOrder, _: CallContext) -> Outcome:
    """Let the order expire later. Refused when it is cancelled or expired (doc)."""
    if order.status in CLOSED_STATUSES:
        raise RefusedError(403, "Extension of authorization time not allowed.")
    order.extended_days += _EXTENSION_DAYS
    return DONE


def _capture(order: StoredOrder, capture_id: str, impossible: str = "") -> StoredCapture:
    if not order.captures and impossible:
        raise RefusedError(403, "Order has no captures.")
    for each in order.captures:
        if each.capture_id == capture_id:
            return each
    message = f"Capture could not be found. {impossible.format(capture_id)}".strip()
    raise RefusedError(404, message, "NO_SUCH_CAPTURE")


def _not_refunded(why: str) -> RefusedError:
    return RefusedError(403, why, "REFUND_NOT_ALLOWED")
