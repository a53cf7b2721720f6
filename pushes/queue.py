"""The queue's front door: take a push in, durably, exactly once per order.

Refuses nothing: whoever calls has checked the key already.
"""

from datetime import datetime

from pushes import life
from pushes.ledger import Ledger
from pushes.life import KLARNA, Sender
from pushes.model import Push, PushKey


def accept(ledger: Ledger, key: PushKey, now: datetime, sender: Sender = KLARNA) -> Push:
    """Record one push and queue its order if it needs an attempt; return the record as it is now.

    `sender` tells in the timeline when it was not Klarna who pushed. Returns only after
    Redis confirmed the write. A new order costs one round trip, a known one two. Raises
    redis.exceptions.RedisError when Redis does not take it; then the push counts as not
    received, and receiving it again is safe.
    """
    change = ledger.update(key, lambda push: life.pushed(push, key, now, sender))
    assert change is not None  # noqa: S101 - `pushed` always returns a change
    return change.after
