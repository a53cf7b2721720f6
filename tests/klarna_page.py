"""Klarna's page "View and change orders" by example: a request for each call, and its refusals.

The shapes, codes and messages are Klarna's. Persons, goods and numbers are made up.
"""

from dataclasses import dataclass
from typing import Any

from devtools.local.sandbox_control import SandboxControl
from klarna import Operation

# Nothing is known of this order.
UNKNOWN_ORDER_ID = "7849fd85-47dc-4919-a7ce-47b9f461562f"

# One digit short of an id, as in one of the page's own examples.
SHORT_ORDER_ID = UNKNOWN_ORDER_ID[:-1]

#: A request for each call of the page, and the capture; None: it has no body.
REQUESTS: dict[Operation, dict[str, Any] | None] = {
    Operation.GET_ORDER: None,
    Operation.ACKNOWLEDGE: None,
    Operation.UPDATE_AUTHORIZATION: {
        "order_amount": 6000,
        "description": "",
        "order_lines": [
            {
                "type": "physical",
                "reference": "B-17",
                "name": "Pears",
                "quantity": 10,
                "quantity_unit": "kg",
                "unit_price": 600,
                "tax_rate": 2500,
                "total_amount": 6000,
                "total_tax_amount": 1200,
            }
        ],
    },
    Operation.UPDATE_MERCHANT_REFERENCES: {
        "merchant_reference1": "1001",
        "merchant_reference2": "by hand",
    },
    Operation.UPDATE_CUSTOMER_DETAILS: {
        "shipping_address": {
            "street_address": "Benchgatan 1",
            "postal_code": "12345",
            "city": "Ankeborg",
            "region": "NY",
            "country": "US",
        }
    },
    Operation.ADD_SHIPPING_INFO: {
        "shipping_info": [
            {
                "shipping_company": "Post",
                "shipping_method": "Home",
                "tracking_number": "17",
                "tracking_uri": "http://shipping.example/17",
                "return_shipping_company": "Post",
                "return_tracking_number": "71",
                "return_tracking_uri": "http://shipping.example/71",
            }
        ]
    },
    Operation.CANCEL: None,
    Operation.CAPTURE: {"captured_amount": 6000},
}

#: The page's example of clearing a reference.
CLEARED_REFERENCE = {"merchant_reference1": ""}


@dataclass(frozen=True)
class PageRefusal:
    """A refusal: the call, what Klarna answers, and how an order comes to be refused so.

    `order_id` is of no order; without one, an order is made with this `order_status`.
    """

    operation: Operation
    status: int
    error_code: str
    message: str
    order_status: str = "AUTHORIZED"
    order_id: str | None = None
    body: dict[str, Any] | None = None

    def find_order(self, sandbox: SandboxControl) -> str:
        """Return the id of an order that is refused so."""
        return self.order_id or sandbox.create_order(status=self.order_status)


_UNKNOWN = f"Order {UNKNOWN_ORDER_ID} cannot be found."

#: One for each call of the page, the capture, and "Error codes and messages" for the last ones.
REFUSALS = (
    PageRefusal(
        *(Operation.GET_ORDER, 400, "INVALID_ORDER_ID", "Order ID must be a valid UUID."),
        order_id=SHORT_ORDER_ID,
    ),
    PageRefusal(
        *(Operation.ACKNOWLEDGE, 404, "NO_SUCH_ORDER"),
        f"{_UNKNOWN} Acknowledgement not possible.",
        order_id=UNKNOWN_ORDER_ID,
    ),
    PageRefusal(
        *(Operation.UPDATE_AUTHORIZATION, 403, "NOT_ALLOWED", "Update not allowed."),
        order_status="CAPTURED",
    ),
    PageRefusal(
        *(Operation.UPDATE_MERCHANT_REFERENCES, 404, "NO_SUCH_ORDER"),
        "Order cannot be found. Merchant references cannot be updated.",
        order_id=UNKNOWN_ORDER_ID,
    ),
    PageRefusal(
        *(Operation.UPDATE_CUSTOMER_DETAILS, 403, "NOT_ALLOWED"),
        "Billing address cannot be updated for user account order. Customer details cannot be"
        " updated.",
        body={"billing_address": {"city": "Ankeborg"}},
    ),
    PageRefusal(
        *(Operation.ADD_SHIPPING_INFO, 404, "NO_SUCH_ORDER"),
        f"{_UNKNOWN} Shipping info cannot be added to order {UNKNOWN_ORDER_ID}.",
        order_id=UNKNOWN_ORDER_ID,
    ),
    PageRefusal(
        *(Operation.CANCEL, 403, "CANCEL_NOT_ALLOWED"),
        "Order has previous captures. Cancel not possible.",
        order_status="PART_CAPTURED",
    ),
    PageRefusal(
        *(Operation.CAPTURE, 403, "CAPTURE_NOT_ALLOWED", "Capture not allowed"),
        order_status="CANCELLED",
    ),
    PageRefusal(
        *(Operation.UPDATE_CUSTOMER_DETAILS, 422, "INVALID_ADDRESS"),
        "The shipping and/or billing address is invalid",
        body={"shipping_address": {"postal_code": "1" * 11}},
    ),
    PageRefusal(
        *(Operation.ADD_SHIPPING_INFO, 422, "UNPROCESSABLE_ENTITY"),
        "The size of the shipping_info/shipping_company value must be between 0 and 100",
        body={"shipping_info": [{"shipping_company": "x" * 101}]},
    ),
    PageRefusal(
        *(Operation.UPDATE_AUTHORIZATION, 403, "NOT_ALLOWED"),
        "Resulting authorization amount 1 cannot be less than the captured amount 5000 for order."
        " Order authorization cannot be updated",
        order_status="PART_CAPTURED",
        body={"order_amount": 1, "order_lines": []},
    ),
    PageRefusal(
        *(Operation.CAPTURE, 404, "NO_SUCH_ORDER", _UNKNOWN),
        order_id=UNKNOWN_ORDER_ID,
    ),
)

# How the client tells of an answer: its status, Klarna's code, and the rest in words.
Told = tuple[int, str | None, str]

#: What Klarna may answer to any call: the fault of the sandbox that does, and what is told of it.
OF_ANY_CALL: dict[str, tuple[str, dict[str, Any], Told]] = {
    "409": ("status", {"status": 409}, (409, "CONFLICT", "HTTP 409 CONFLICT")),
    "413": ("status", {"status": 413}, (413, "REQUEST_TOO_LARGE", "Request is too large")),
    "429": ("rate_limited", {}, (429, "TOO_MANY_REQUESTS", "Too many requests")),
    "500": (
        *("status", {"status": 500}),
        (500, "INTERNAL_SERVER_ERROR", "Unexpected server error"),
    ),
    "500, another code": (
        *("status", {"status": 500, "error_code": "UNEXPECTED_ERROR"}),
        (500, "UNEXPECTED_ERROR", "Unexpected server error"),
    ),
    **{
        str(status): (
            *("status", {"status": status}),
            (status, "TEMPORARILY_UNAVAILABLE", "Temporarily unavailable"),
        )
        for status in (502, 503, 504)
    },
    "401 of the gateway": ("unauthorized_html", {}, (401, None, "wrong_credentials")),
    "404 without a word": ("empty_404", {}, (404, None, "HTTP 404")),
}
