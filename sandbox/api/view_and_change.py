"""The calls of Klarna's page "View and change orders". Each is a list of refusals, then one act."""

from sandbox.api.bodies import (
    AddShippingInfoBody,
    CustomerDetailsBody,
    MerchantReferencesBody,
    UpdateAuthorizationBody,
    read_body,
    shown_all,
)
from sandbox.api.calls import DONE, CallContext, Outcome, RefusedError
from sandbox.api.order_body import order_body
from sandbox.api.orders import CLOSED_STATUSES, StoredOrder
from sandbox.serving.answers import json_answer


def get_order(order: StoredOrder, _: CallContext) -> Outcome:
    """Show the order (rec)."""
    return Outcome(json_answer(200, order_body(order)))


def acknowledge(order: StoredOrder, context: CallContext) -> Outcome:
    """Acknowledge the order (rec). Ends its pushes (doc). Both refusals are assumed."""
    if order.status in CLOSED_STATUSES and context.settings.acknowledge_on_closed == "403":
        raise RefusedError(403, "Order is closed. Acknowledgement not possible.")
    if order.acknowledged_at_s is not None and context.settings.second_acknowledge == "403":
        raise RefusedError(403, "Order is already acknowledged.")
    order.acknowledge(context.now_s)
    return DONE


def update_authorization(order: StoredOrder, context: CallContext) -> Outcome:
    """Set the amount and the lines; lines that are left out are deleted (doc).

    Refused when the order is fully captured, cancelled or expired, and below what was captured
    (doc). An increase depends on payment method, market and a new risk assessment (doc).
    """
    wanted = read_body(UpdateAuthorizationBody, context.body, context.settings)
    if order.status in CLOSED_STATUSES or order.status == "CAPTURED":
        raise RefusedError(403, "Update not allowed.")
    if wanted.order_amount < order.captured_amount:
        raise RefusedError(
            403,
            f"Resulting authorization amount {wanted.order_amount} cannot be less than the "
            f"captured amount {order.captured_amount} for order. "
            "Order authorization cannot be updated",
        )
    if wanted.order_amount > order.amount and context.settings.increase == "403":
        raise RefusedError(403, "Update not allowed.")
    order.amount = wanted.order_amount
    order.released_amount = 0
    order.order_lines = shown_all(wanted.order_lines)
    return DONE


def update_merchant_references(order: StoredOrder, context: CallContext) -> Outcome:
    """Set those references that are given; `""` clears one (doc). Refused when cancelled (doc)."""
    wanted = read_body(MerchantReferencesBody, context.body, context.settings)
    closed = order.status in CLOSED_STATUSES and context.settings.references_on_closed == "403"
    if order.status == "CANCELLED" or closed:
        raise RefusedError(
            403, f"Order is {order.status.lower()}. Merchant references cannot be updated."
        )
    if wanted.merchant_reference1 is not None:
        order.merchant_reference1 = wanted.merchant_reference1
    if wanted.merchant_reference2 is not None:
        order.merchant_reference2 = wanted.merchant_reference2
    return DONE


def update_customer_details(order: StoredOrder, context: CallContext) -> Outcome:
    """Change the shipping address, field by field. The billing address is refused (doc)."""
    wanted = read_body(CustomerDetailsBody, context.body, context.settings)
    if wanted.billing_address is not None:
        raise RefusedError(
            403,
            "Billing address cannot be updated for user account order. "
            "Customer details cannot be updated.",
        )
    captured = order.status == "CAPTURED" and context.settings.address_on_captured == "403"
    if order.status in CLOSED_STATUSES or captured:
        raise RefusedError(
            403, f"Order is {order.status.lower()}. Customer details cannot be updated."
        )
    if wanted.shipping_address:
        order.shipping_address |= wanted.shipping_address.shown()
    return DONE


def add_shipping_info(order: StoredOrder, context: CallContext) -> Outcome:
    """Add parcels to those of the order."""
    wanted = read_body(AddShippingInfoBody, context.body, context.settings)
    if order.status in CLOSED_STATUSES and context.settings.shipping_info_on_closed == "403":
        raise RefusedError(
            403, f"Order is {order.status.lower()}. Shipping info cannot be added to order."
        )
    order.shipping_info += shown_all(wanted.shipping_info)
    return DONE


def cancel(order: StoredOrder, context: CallContext) -> Outcome:
    """Cancel the order. Refused when it has captures or is closed (doc)."""
    if order.captures:
        raise _not_cancelled("Order has previous captures.")
    if order.status == "CANCELLED" and context.settings.second_cancel == "403":
        raise _not_cancelled("Order is already cancelled.")
    if order.status in {"EXPIRED", "CLOSED"}:
        raise _not_cancelled(f"Order is {order.status.lower()}.")
    order.status = "CANCELLED"
    return DONE


def _not_cancelled(why: str) -> RefusedError:
    return RefusedError(403, f"{why} Cancel not possible.", "CANCEL_NOT_ALLOWED")
