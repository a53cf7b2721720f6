"""What is pushed: mostly orders that must be acknowledged, and some of each kind that must not."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from random import Random

from devtools.local.sandbox_control import FaultBody, NewOrder, SandboxControl
from devtools.local.seeds import random_order_id
from pushes.model import Reason, State


class OrderKind(Enum):
    """What an order is at Klarna."""

    OPEN = "open"
    NOT_YET_VISIBLE = "pushed before Order Management shows it"
    CANCELLED = "cancelled"
    FORGED = "unknown at Klarna"
    REJECTED = "its acknowledge is answered 400"
    NOT_ALLOWED = "its acknowledge is answered 403 though it looks open"
    MISMATCHED = "GET shows another order"
    FAILING = "GET is answered 500 for ever"


#: Where a push must have ended when everybody is well again and the dead letters were replayed.
OUTCOMES: Mapping[OrderKind, tuple[State, Reason | None]] = {
    OrderKind.OPEN: (State.ACKNOWLEDGED, None),
    OrderKind.NOT_YET_VISIBLE: (State.ACKNOWLEDGED, None),
    OrderKind.CANCELLED: (State.NOT_NEEDED, None),
    OrderKind.FORGED: (State.DEAD, Reason.NO_SUCH_ORDER),
    OrderKind.REJECTED: (State.DEAD, Reason.REJECTED),
    OrderKind.NOT_ALLOWED: (State.DEAD, Reason.NOT_ALLOWED),
    OrderKind.MISMATCHED: (State.DEAD, Reason.ORDER_MISMATCH),
    OrderKind.FAILING: (State.DEAD, Reason.RETRIES_EXHAUSTED),
}

# Eight in ten are open; the rest are enough of each kind to be met by some trouble.
_SHARES = {
    OrderKind.OPEN: 80,
    OrderKind.NOT_YET_VISIBLE: 4,
    OrderKind.CANCELLED: 4,
    OrderKind.FORGED: 4,
} | dict.fromkeys(
    (OrderKind.REJECTED, OrderKind.NOT_ALLOWED, OrderKind.MISMATCHED, OrderKind.FAILING), 2
)

# One in ten is pushed by the sandbox, again and again until it is acknowledged.
_RESENT = 0.1
# One in twenty is pushed twice at the same moment, as by an impatient proxy.
_PUSHED_TWICE = 0.05
# Seconds after its first push at which a pushed order becomes visible.
_VISIBLE_AFTER_S = 1.0

_LASTING_FAULTS: Mapping[OrderKind, tuple[str, FaultBody]] = {
    OrderKind.REJECTED: ("status", {"operation": "acknowledge", "params": {"status": 400}}),
    OrderKind.NOT_ALLOWED: ("not_allowed", {"operation": "acknowledge"}),
    OrderKind.MISMATCHED: ("wrong_order_id", {"operation": "get_order"}),
    OrderKind.FAILING: ("status", {"operation": "get_order", "params": {"status": 500}}),
}


@dataclass(frozen=True, slots=True)
class ChaosOrder:
    """One order, first pushed `at_s` seconds after the trial has begun."""

    order_id: str
    kind: OrderKind
    at_s: float
    is_resent: bool = False
    is_pushed_twice: bool = False


def make(random: Random, count: int, over_s: float, *, only_open: bool = False) -> list[ChaosOrder]:
    """Make orders whose first pushes are spread evenly, give or take, over `over_s` seconds."""
    kinds = [OrderKind.OPEN] if only_open else list(_SHARES)
    shares = [_SHARES[kind] for kind in kinds]
    return [
        ChaosOrder(
            random_order_id(random),
            random.choices(kinds, shares)[0],
            over_s * (number + random.random()) / count,
            is_resent=not only_open and random.random() < _RESENT,
            is_pushed_twice=random.random() < _PUSHED_TWICE,
        )
        for number in range(count)
    ]


def create(sandbox: SandboxControl, orders: list[ChaosOrder]) -> None:
    """Tell the sandbox of the orders; those on its schedule are pushed from now on."""
    for order in orders:
        if order.kind is not OrderKind.FORGED:
            sandbox.create_order(**_at_klarna(order))
    add_lasting_faults(sandbox, orders)


def add_lasting_faults(sandbox: SandboxControl, orders: list[ChaosOrder]) -> None:
    """Put in force what keeps some orders from ever being acknowledged."""
    for order in orders:
        if order.kind in _LASTING_FAULTS:
            name, fault = _LASTING_FAULTS[order.kind]
            sandbox.add_fault(name, **(fault | {"order_id": order.order_id}))


def is_pushed_by_sandbox(order: ChaosOrder) -> bool:
    """Whether the sandbox pushes it; it cannot push what it does not know."""
    return order.is_resent and order.kind is not OrderKind.FORGED


def _at_klarna(order: ChaosOrder) -> NewOrder:
    fields: NewOrder = {"order_id": order.order_id}
    if order.kind is OrderKind.CANCELLED:
        fields["status"] = "CANCELLED"
    if order.kind is OrderKind.NOT_YET_VISIBLE:
        fields["visible_after_s"] = order.at_s + _VISIBLE_AFTER_S
    if order.is_resent:
        fields |= {"push": True, "first_push_after_s": order.at_s}
    return fields
