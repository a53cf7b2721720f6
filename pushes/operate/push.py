"""Queueing an order as if Klarna had pushed it, at an operator's word. Safe to repeat."""

from datetime import datetime

from pushes.model import Lane, Push, PushKey
from pushes.origin import Origin
from pushes.store.ledger import Ledger

# The name of the event in the timeline: Klarna's own are `pushed`.
EVENT = "pushed_by_operator"


def push(ledger: Ledger, key: PushKey, *, by: str, now: datetime) -> Push:
    """Queue an order; one in hand already, or acknowledged a moment ago, is only counted.

    So is one that an operator discarded: a replay takes that back. Raises RedisError.
    """
    return ledger.accept(key, now, Origin(EVENT, by, lane=Lane.BACKLOG))
