"""What is pushed: mostly orders that must be acknowledged, and some of each kind that must not."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from random import Random

from devtools.local.sandbox_control import FaultBody, NewOrder, SandboxControl
from pushes.model import Reason, State


class Kind(Enum):
    """What an order is at Klarna."""

    OPEN = "open"
    LATE = "pushed before Order Management shows it"
    CANCELLED = "cancelled"
    FORGED = "unknown at Klarna"
    REJECTED = "its acknowledge is answered 400"
    NOT_ALLOWED = "its acknowledge is answered 403 though it looks open"
    MISMATCHED = "GET shows another order"
    FAILING = "GET is answered 500 for ever"


#: Where a push must have ended when everybody is well again and the dead letters were replayed.
ENDS: Mapping[Kind, tuple[State, Reason | None]] = {
    Kind.OPEN: (State.ACKNOWLEDGED, None),
    Kind.LATE: (State.ACKNOWLEDGED, None),
    Kind.CANCELLED: (State.NOT_NEEDED, None),
    Kind.FORGED: (State.DEAD, Reason.NO_SUCH_ORDER),
    Kind.REJECTED: (State.DEAD, Reason.REJECTED),
    Kind.NOT_ALLOWED: (State.DEAD, Reason.NOT_ALLOWED),
    Kind.MISMATCHED: (State.DEAD, Reason.ORDER_MISMATCH),
    Kind.FAILING: (State.DEAD, Reason.RETRIES_EXHAUSTED),
}

# Eight in ten are open; the rest are enough of each kind to be met by some trouble.
_SHARES = {Kind.OPEN: 80, Kind.LATE: 4, Kind.CANCELLED: 4, Kind.FORGED: 4} | dict.fromkeys(
    (Kind.REJECTED, Kind.NOT_ALLOWED, Kind.MISMATCHED, Kind.FAILING), 2
)

# One in ten is pushed by the sandbox, again and again until it is acknowledged.
_RESENT = 0.1
# One in twenty is pushed twice at the same moment, as by an impatient proxy.
_DOUBLED = 0.05
# Seconds after its first push at which a late order appears.
_LATE_S = 1.0

_DOOMS: Mapping[Kind, tuple[str, FaultBody]] = {
    Kind.REJECTED: ("status", {"operation": "acknowledge", "params": {"status": 400}}),
    Kind.NOT_ALLOWED: ("not_allowed", {"operation": "acknowledge"}),
    Kind.MISMATCHED: ("wrong_order_id", {"operation": "get_order"}),
    Kind.FAILING: ("status", {"operation": "get_order", "params": {"status": 500}}),
}


@dataclass(frozen=True, slots=True)
class ChaosOrder:
    """One order, first pushed `at_s` seconds after the trial has begun."""

    order_id: str
    kind: Kind
    at_s: float
    is_resent: bool = False
    is_doubled: bool = False


def make(random: Random, count: int, over_s: float, *, only_open: bool = False) -> list[ChaosOrder]:
    """Make orders whose first pushes are spread evenly, give or take, over `over_s` seconds."""
    kinds = [Kind.OPEN] if only_open else list(_SHARES)
    shares = [_SHARES[kind] for kind in kinds]
    return [
        ChaosOrder(
            _order_id(random),
            random.choices(kinds, shares)[0],
            over_s * (number + random.random()) / count,
            is_resent=not only_open and random.random() < _RESENT,
            is_doubled=random.random() < _DOUBLED,
        )
        for number in range(count)
    ]


def create(sandbox: SandboxControl, orders: list[ChaosOrder]) -> None:
    """Tell the sandbox of the orders; those on its schedule are pushed from now on."""
    for order in orders:
        if order.kind is not Kind.FORGED:
            sandbox.create_order(**_at_klarna(order))
    doom(sandbox, orders)


def doom(sandbox: SandboxControl, orders: list[ChaosOrder]) -> None:
    """Put in force what keeps some orders from ever being acknowledged."""
    for order in orders:
        if order.kind in _DOOMS:
            name, fault = _DOOMS[order.kind]
            sandbox.add_fault(name, **(fault | {"order_id": order.order_id}))


def is_pushed_by_sandbox(order: ChaosOrder) -> bool:
    """Whether the sandbox pushes it; it cannot push what it does not know."""
    return order.is_resent and order.kind is not Kind.FORGED


def _at_klarna(order: ChaosOrder) -> NewOrder:
    fields: NewOrder = {"order_id": order.order_id}
    if order.kind is Kind.CANCELLED:
        fields["status"] = "CANCELLED"
    if order.kind is Kind.LATE:
        fields["visible_after_s"] = order.at_s + _LATE_S
    if order.is_resent:
        fields |= {"push": True, "first_push_after_s": order.at_s}
    return fields


def _order_id(random: Random) -> str:
    digits = f"{random.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
