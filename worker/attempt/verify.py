"""Is this push authentic, and is there anything to acknowledge? Pure."""

from enum import Enum

from klarna import Order
from pushes.accounts.policies import Policies


class Verdict(Enum):
    """What Klarna's answer to GET says about a push."""

    OPEN = "the order exists and can be acknowledged"
    CLOSED = "the order is cancelled, expired or closed, or what else its account leaves alone"
    PENDING = "its fraud check is pending, and its account wants that decided first"
    MISMATCH = "the answer is about another order"


# Klarna has not decided yet whether it takes the risk (Klarna docs, "Fraud status").
_PENDING = "PENDING"


def verify(order: Order, order_id: str, policies: Policies) -> Verdict:
    """Judge the order that Klarna returned for `order_id`, which is lower-cased.

    The push itself proves nothing: it is empty and unsigned. Only Klarna's answer to our own,
    authenticated GET does. A status nobody knows yet counts as open.
    """
    if order.order_id != order_id:
        return Verdict.MISMATCH
    if policies.leave_nothing_to_acknowledge(order.status):
        return Verdict.CLOSED
    if order.fraud_status == _PENDING and not policies.acknowledge_pending:
        return Verdict.PENDING
    return Verdict.OPEN
