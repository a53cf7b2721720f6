"""The calls of Order Management, and the trace that each one leaves. Pure."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

_ORDERS: Final = "/ordermanagement/v1/orders/"

# The shape only: Klarna's ids are no RFC 4122 UUIDs (version nibbles 2, 4 and 6 were seen).
_ORDER_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Operation(StrEnum):
    """What we ask of Order Management; the words appear in logs, metrics and timelines."""

    method: str
    suffix: str

    def __new__(cls, value: str, method: str, suffix: str) -> Self:
        """Keep beside the word, which alone is the value, how the call is made."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.method = method
        member.suffix = suffix
        return member

    GET_ORDER = "get_order", "GET", ""
    ACKNOWLEDGE = "acknowledge", "POST", "/acknowledge"
    UPDATE_AUTHORIZATION = "update_authorization", "PATCH", "/authorization"
    UPDATE_MERCHANT_REFERENCES = "update_merchant_references", "PATCH", "/merchant-references"
    UPDATE_CUSTOMER_DETAILS = "update_customer_details", "PATCH", "/customer-details"
    ADD_SHIPPING_INFO = "add_shipping_info", "POST", "/shipping-info"
    CANCEL = "cancel", "POST", "/cancel"
    CAPTURE = "capture", "POST", "/captures"

    @property
    def is_write(self) -> bool:
        """Whether Klarna changes something: a 403 then speaks of the order, not of us."""
        return self is not Operation.GET_ORDER


@dataclass(frozen=True, slots=True)
class Call:
    """One request: what to do with which order, and the JSON that says how.

    `order_id` is lower-cased. Raises ValueError unless it is shaped 8-4-4-4-12 hex, so that no
    other text becomes part of a path.
    """

    operation: Operation
    order_id: str
    body: bytes | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "order_id", normal_order_id(self.order_id))

    @property
    def path(self) -> str:
        """The path below the API's URL."""
        return f"{_ORDERS}{self.order_id}{self.operation.suffix}"


@dataclass(frozen=True, slots=True)
class Exchange:
    """The trace one call leaves, whether it worked or not: never a body, never a secret.

    `http_status` is None when no complete answer came. `correlation_id` is what Klarna's support
    asks for: opaque text, sometimes truncated by Klarna. `error` is None exactly on success.
    `date` is what Klarna's clock said, as its header has it.
    """

    operation: Operation
    http_status: int | None
    elapsed_ms: int
    error_code: str | None = None
    correlation_id: str | None = None
    error: str | None = None
    date: str | None = field(default=None, compare=False)


def normal_order_id(text: str) -> str:
    """Return the id lower-cased; ValueError unless it is shaped 8-4-4-4-12 hex."""
    order_id = text.lower()
    if not _ORDER_ID.fullmatch(order_id):
        raise ValueError("an order id is 8-4-4-4-12 hexadecimal digits")
    return order_id


def one_line(text: str, limit: int) -> str:
    """Return at most `limit` characters, each fit for a log line and for UTF-8."""
    text = text[:limit]
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
