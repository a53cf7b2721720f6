"""Klarna's calls by method and path. Another call is a function and a line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.api import bodies, capture_and_refund, view_and_change
from sandbox.api.calls import CallContext, Outcome
from sandbox.api.orders import StoredOrder
from sandbox.faults.kinds import GET_ORDER

UNKNOWN = "unknown"
PREFIX = "/ordermanagement/v1/orders/"
_ITEM = "{id}"


@dataclass(frozen=True, slots=True)
class ServedOperation:
    """One call: its name in log and faults, what it does, the body it takes.

    `not_found` is what Klarna says of an order that is not there (doc), `success` its status.
    """

    name: str
    run: Callable[[StoredOrder, CallContext], Outcome]
    success: int = 204
    body: type[bodies.CallBody] | None = None
    not_found: str = "Order {order_id} cannot be found."


#: (method, what follows the order id) → the call. `{id}` is a capture or a refund.
OPERATIONS: Mapping[tuple[str, str], ServedOperation] = {
    ("GET", ""): ServedOperation(GET_ORDER, view_and_change.get_order, 200),
    ("POST", "acknowledge"): ServedOperation(
        "acknowledge",
        view_and_change.acknowledge,
        not_found="Order {order_id} cannot be found. Acknowledgement not possible.",
    ),
    ("PATCH", "authorization"): ServedOperation(
        "update_authorization",
        view_and_change.update_authorization,
        body=bodies.UpdateAuthorizationBody,
    ),
    ("PATCH", "merchant-references"): ServedOperation(
        "update_merchant_references",
        view_and_change.update_merchant_references,
        body=bodies.MerchantReferencesBody,
        not_found="Order cannot be found. Merchant references cannot be updated.",
    ),
    ("PATCH", "customer-details"): ServedOperation(
        "update_customer_details",
        view_and_change.update_customer_details,
        body=bodies.CustomerDetailsBody,
    ),
    ("POST", "shipping-info"): ServedOperation(
        "add_shipping_info",
        view_and_change.add_shipping_info,
        body=bodies.AddShippingInfoBody,
        not_found=(
            "Order {order_id} cannot be found. Shipping info cannot be added to order {order_id}."
        ),
    ),
    ("POST", "cancel"): ServedOperation("cancel", view_and_change.cancel),
    ("POST", "captures"): ServedOperation(
        "capture", capture_and_refund.capture, 201, body=bodies.CaptureBody
    ),
    ("GET", "captures"): ServedOperation("get_captures", capture_and_refund.get_captures, 200),
    ("GET", "captures/{id}"): ServedOperation("get_capture", capture_and_refund.get_capture, 200),
    ("POST", "captures/{id}/shipping-info"): ServedOperation(
        "add_capture_shipping_info",
        capture_and_refund.add_capture_shipping_info,
        body=bodies.AddShippingInfoBody,
    ),
    ("POST", "captures/{id}/trigger-send-out"): ServedOperation(
        "trigger_send_out", capture_and_refund.trigger_send_out
    ),
    ("GET", "captures/{id}/extend-due-date-options"): ServedOperation(
        "get_due_date_options", capture_and_refund.get_due_date_options, 200
    ),
    ("PATCH", "captures/{id}/extend-due-date"): ServedOperation(
        "extend_due_date", capture_and_refund.extend_due_date, body=bodies.ExtendDueDateBody
    ),
    ("POST", "refunds"): ServedOperation(
        "refund", capture_and_refund.refund, 201, body=bodies.RefundBody
    ),
    ("GET", "refunds/{id}"): ServedOperation("get_refund", capture_and_refund.get_refund, 200),
    ("POST", "release-remaining-authorization"): ServedOperation(
        "release_remaining_authorization", capture_and_refund.release_remaining_authorization
    ),
    ("POST", "extend-authorization-time"): ServedOperation(
        "extend_authorization_time", capture_and_refund.extend_authorization_time
    ),
}
NAMES = tuple(operation.name for operation in OPERATIONS.values())


@dataclass(frozen=True, slots=True)
class Target:
    """What a path under the orders names: the order id as sent, the rest, and an item's id."""

    order_id: str
    rest: str
    item: str

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that are known there, none for a path that is none of Klarna's."""
        return tuple(method for method, rest in OPERATIONS if rest == self.rest)


def target_of(path: str) -> Target | None:
    """Take a path apart; None outside the paths of orders."""
    if not path.startswith(PREFIX):
        return None
    order_id, *rest = path.removeprefix(PREFIX).split("/")
    item = ""
    if len(rest) > 1:
        item, rest[1] = rest[1], _ITEM
    return Target(order_id, "/".join(rest), item)
