"""Is this push authentic, and is there anything to acknowledge? Pure."""

from enum import Enum

from klarna import CLOSED_STATUSES, Order


class Verdict(Enum):
    """What Klarna's answer to GET says about a push."""

    OPEN = "the order exists and can be acknowledged"
    CLOSED = "the order is cancelled, expired or closed"
    MISMATCH = "the answer is about another order"


def verify(order: Order, order_id: str) -> Verdict:
    """Judge the order that Klarna returned for `order_id`, which is lower-cased.

    The push itself proves nothing: it is empty and unsigned. Only Klarna's answer to our own,
    authenticated GET does. A status nobody knows yet counts as open.
    """
    if order.order_id != order_id:
        return Verdict.MISMATCH
    if order.status in CLOSED_STATUSES:
        return Verdict.CLOSED
    return Verdict.OPEN
