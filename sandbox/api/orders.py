"""An order as Klarna keeps it: its state, and the acknowledged flag that no GET shows. No HTTP."""

import re
import secrets
from dataclasses import dataclass, field

from sandbox.pushing.schedule import PushRecord, due_at_s

#: 8-4-4-4-12 hex, but no RFC 4122 version: nibbles 2, 4 and 6 were seen (rec).
ORDER_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)
STATUSES = ("AUTHORIZED", "PART_CAPTURED", "CAPTURED", "CANCELLED", "EXPIRED", "CLOSED")
FRAUD_STATUSES = ("ACCEPTED", "PENDING", "REJECTED", "STOPPED")
CLOSED_STATUSES = frozenset({"CANCELLED", "EXPIRED", "CLOSED"})
CAPTURED_STATUSES = frozenset({"PART_CAPTURED", "CAPTURED"})

# An authorization lives about 28 days, then ends at midnight UTC (rec, doc).
_LIFETIME_DAYS = 28
_DAY_S = 86_400

#: One object of JSON, as it came in or goes out.
JsonObject = dict[str, object]


@dataclass(slots=True)
class StoredCapture:
    """One capture of an order; amounts in minor units."""

    capture_id: str
    amount: int
    at_s: float
    description: str = ""
    reference: str | None = None
    order_lines: list[JsonObject] = field(default_factory=list)
    shipping_info: list[JsonObject] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StoredRefund:
    """One refund of an order; the amount in minor units."""

    refund_id: str
    amount: int
    at_s: float
    description: str
    reference: str | None
    order_lines: list[JsonObject]


@dataclass(slots=True)
class StoredOrder:
    """One order. Mutable: whoever reads or changes it holds the lock. `_s` are epoch seconds.

    `merchant` None is the merchant of the settings' `username`. `order_lines` None is one made-up
    line of the order's amount; `shipping_address` holds what was changed of the made-up one.
    """

    order_id: str
    created_at_s: float
    visible_at_s: float
    status: str = "AUTHORIZED"
    fraud_status: str | None = "ACCEPTED"
    amount: int = 10_000
    original_amount: int = 10_000
    released_amount: int = 0
    currency: str = "SEK"
    merchant_reference1: str = "sandbox-1"
    merchant_reference2: str = "sandbox-2"
    order_lines: list[JsonObject] | None = None
    shipping_address: JsonObject = field(default_factory=dict)
    shipping_info: list[JsonObject] = field(default_factory=list)
    captures: list[StoredCapture] = field(default_factory=list)
    refunds: list[StoredRefund] = field(default_factory=list)
    extended_days: int = 0
    merchant: str | None = None
    other_merchant: bool = False
    acknowledged_at_s: float | None = None
    acknowledge_effects: int = 0
    requests: int = 0
    push_url: str | None = None
    first_push_at_s: float | None = None
    resends_s: tuple[float, ...] = ()
    pushes_taken: int = 0
    awaited: bool = False  # by the sender: its next push is waited for or under way
    pushes: list[PushRecord] = field(default_factory=list)

    @property
    def captured_amount(self) -> int:
        """All captures, in minor units."""
        return sum(capture.amount for capture in self.captures)

    @property
    def refunded_amount(self) -> int:
        """All refunds, in minor units."""
        return sum(refund.amount for refund in self.refunds)

    @property
    def remaining_amount(self) -> int:
        """What can still be captured, in minor units. Cancelling does not lessen it (rec)."""
        return self.amount - self.captured_amount - self.released_amount

    @property
    def expires_at_s(self) -> float:
        """Until when it can be captured."""
        days = self.created_at_s // _DAY_S + _LIFETIME_DAYS + self.extended_days
        return days * _DAY_S

    def visible(self, now_s: float) -> bool:
        """Whether Order Management knows it yet: a push may arrive before it does (doc)."""
        return now_s >= self.visible_at_s

    def let_expire(self, now_s: float) -> None:
        """Expire it when its time is over and nothing was captured (assumed)."""
        if self.status == "AUTHORIZED" and now_s >= self.expires_at_s:
            self.status = "EXPIRED"

    def acknowledge(self, now_s: float) -> None:
        """Take an acknowledge in: the effect. `acknowledged_at_s` stays the first one's."""
        self.acknowledge_effects += 1
        if self.acknowledged_at_s is None:
            self.acknowledged_at_s = now_s

    def capture(self, capture: StoredCapture) -> None:
        """Take a capture in. It also acknowledges the order (doc)."""
        self.captures.append(capture)
        self.status = "PART_CAPTURED" if self.remaining_amount else "CAPTURED"
        if self.acknowledged_at_s is None:
            self.acknowledged_at_s = capture.at_s

    def next_push_at_s(self) -> float | None:
        """When it is pushed next. Only an acknowledge or a capture ends that, never a 2xx (doc)."""
        if self.first_push_at_s is None or self.acknowledged_at_s is not None:
            return None
        if self.status in CAPTURED_STATUSES:
            return None
        return due_at_s(self.first_push_at_s, self.resends_s, self.pushes_taken)


def new_order_id() -> str:
    """Make an order id of Klarna's shape, with one of the version nibbles seen there."""
    digits = secrets.token_hex(16)
    groups = (digits[:8], digits[8:12], digits[13:16], digits[16:20], digits[20:])
    return "{}-{}-{}{}-{}-{}".format(*groups[:2], secrets.choice("246"), *groups[2:])
