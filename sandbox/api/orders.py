"""An order as Klarna keeps it: its state, and the acknowledged flag that no GET shows.

The rules here are pure: they take the order and the settings and decide. Knows no HTTP.
"""

import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum

from sandbox.pushing.schedule import PushRecord, due_at_s
from sandbox.settings import SandboxSettings

#: 8-4-4-4-12 hex, but no RFC 4122 version: nibbles 2, 4 and 6 were seen (rec).
ORDER_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)
STATUSES = ("AUTHORIZED", "PART_CAPTURED", "CAPTURED", "CANCELLED", "EXPIRED", "CLOSED")
FRAUD_STATUSES = ("ACCEPTED", "PENDING", "REJECTED", "STOPPED")
#: Nothing more can be done with these (doc); that acknowledging them is refused is assumed.
CLOSED_STATUSES = frozenset({"CANCELLED", "EXPIRED", "CLOSED"})
CAPTURED_STATUSES = frozenset({"PART_CAPTURED", "CAPTURED"})


class Acknowledging(StrEnum):
    """What becomes of an acknowledge."""

    ACCEPTED = "Order acknowledged."
    CLOSED = "Order is closed. Acknowledgement not possible."
    ALREADY = "Order is already acknowledged."


@dataclass(slots=True)
class StoredOrder:
    """One order. Mutable: whoever reads or changes it holds the lock. `_s` are epoch seconds."""

    order_id: str
    created_at_s: float
    visible_at_s: float
    status: str = "AUTHORIZED"
    fraud_status: str | None = "ACCEPTED"
    amount: int = 10_000
    currency: str = "SEK"
    merchant_reference1: str = "sandbox-1"
    merchant_reference2: str = "sandbox-2"
    other_merchant: bool = False
    acknowledged_at_s: float | None = None
    acknowledge_effects: int = 0
    requests: int = 0
    first_push_at_s: float | None = None
    resends_s: tuple[float, ...] = ()
    pushes_taken: int = 0
    awaited: bool = False  # by the sender: its next push is waited for or under way
    pushes: list[PushRecord] = field(default_factory=list)

    def visible(self, now_s: float) -> bool:
        """Whether Order Management knows it yet: a push may read_call before it does (doc)."""
        return now_s >= self.visible_at_s

    def acknowledge(self, now_s: float) -> None:
        """Take an acknowledge in: the effect. `acknowledged_at_s` stays the first one's."""
        self.acknowledge_effects += 1
        if self.acknowledged_at_s is None:
            self.acknowledged_at_s = now_s

    def next_push_at_s(self) -> float | None:
        """When it is pushed next. Only an acknowledge or a capture ends that, never a 2xx (doc)."""
        if self.first_push_at_s is None or self.acknowledged_at_s is not None:
            return None
        if self.status in CAPTURED_STATUSES:
            return None
        return due_at_s(self.first_push_at_s, self.resends_s, self.pushes_taken)


def judge_acknowledge(order: StoredOrder, settings: SandboxSettings) -> Acknowledging:
    """Decide on an acknowledge. Both refusals are assumed and can be switched off."""
    if order.status in CLOSED_STATUSES and settings.acknowledge_on_closed == "403":
        return Acknowledging.CLOSED
    if order.acknowledged_at_s is not None and settings.second_acknowledge == "403":
        return Acknowledging.ALREADY
    return Acknowledging.ACCEPTED


def new_order_id() -> str:
    """Make an order id of Klarna's shape, with one of the version nibbles seen there."""
    digits = secrets.token_hex(16)
    groups = (digits[:8], digits[8:12], digits[13:16], digits[16:20], digits[20:])
    return "{}-{}-{}{}-{}-{}".format(*groups[:2], secrets.choice("246"), *groups[2:])
