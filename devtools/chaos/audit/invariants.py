"""The promise, judged from what the sender and the sandbox have logged. Pure.

Only the second half of the promise, `dead` with a reason, is taken from the program's own word.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from devtools.chaos.audit.evidence import Evidence
from devtools.chaos.orders import OUTCOMES
from devtools.local.sandbox_control import OrderBody
from pushes.model import Push, Reason, State

_OK = 200
_CLOSED = {"CANCELLED", "EXPIRED", "CLOSED"}
# Answers 200 that still show the order whole. Any other fault spoils a GET: it proves nothing.
_HARMLESS_FAULTS = {None, "slow", "drip", "drip_headers"}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken invariant."""

    what: str
    order_id: str
    detail: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.what}: {self.order_id}: {self.detail}"


def lost(evidence: Evidence) -> Iterator[Violation]:
    """Find what was answered 200 and is neither acknowledged nor dead with a reason."""
    for order_id in sorted(evidence.accepted):
        push, order = evidence.records.get(order_id), evidence.at_klarna.get(order_id)
        if push is None:
            yield Violation("lost", order_id, "answered 200, and there is no record of it")
        elif not (_is_acknowledged(order) or _is_closed(order) or _is_dead_with_reason(push)):
            yield Violation("lost", order_id, f"answered 200, now {push.state}, {push.last_error}")


def contradictions(evidence: Evidence) -> Iterator[Violation]:
    """Find where the ledger says something else about an order than Klarna does."""
    for order_id, push in evidence.records.items():
        order = evidence.at_klarna.get(order_id)
        if push is None:
            continue
        if push.state is State.ACKNOWLEDGED and not _is_acknowledged(order):
            yield Violation(
                "contradiction", order_id, "the ledger says acknowledged, Klarna does not"
            )
        if push.state is State.NOT_NEEDED and not _is_closed(order):
            yield Violation(
                "contradiction", order_id, "the ledger says not needed, but the order is open"
            )
        if push.state.is_waiting:
            yield Violation("unsettled", order_id, f"still {push.state}: {push.last_error}")


def unverified(evidence: Evidence) -> Iterator[Violation]:
    """Find acknowledges without a GET of their own before them that showed the order.

    Each GET counts for one acknowledge, so that an attempt cannot lean on an earlier one's.
    """
    proofs: Counter[str | None] = Counter()
    for request in evidence.requests:
        order_id = request["order_id"]
        if request["operation"] == "get_order":
            whole = request["fault"] in _HARMLESS_FAULTS
            proofs[order_id] += request["status"] == _OK and whole
        elif request["operation"] == "acknowledge":
            if not proofs[order_id]:
                yield Violation("unverified", str(order_id), f"request {request['seq']} of the log")
            proofs[order_id] -= 1


def wrong_outcomes(evidence: Evidence) -> Iterator[Violation]:
    """Find what has another outcome than it must, now that the dead letters were replayed."""
    for order in evidence.planned:
        if order.order_id not in evidence.accepted:
            continue
        push = evidence.records[order.order_id]
        outcome = (push.state, push.reason) if push else None
        if outcome != OUTCOMES[order.kind]:
            wanted = f"{OUTCOMES[order.kind]}, since it is {order.kind.value}"
            yield Violation("wrong outcome", order.order_id, f"{outcome} instead of {wanted}")


def _is_acknowledged(order: OrderBody | None) -> bool:
    return order is not None and order["acknowledge_effects"] > 0


def _is_closed(order: OrderBody | None) -> bool:
    return order is not None and order["status"] in _CLOSED


def _is_dead_with_reason(push: Push) -> bool:
    return push.state is State.DEAD and isinstance(push.reason, Reason)
