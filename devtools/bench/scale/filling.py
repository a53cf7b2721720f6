"""Orders in the states that cost most, committed by the real steps, many at a time."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import islice
from uuid import uuid4

from pushes import life
from pushes.model import Change, HoldReason, PushKey, Reason
from pushes.store.keys import job_id
from pushes.store.ledger import Ledger

_BATCH = 500

# What a push goes through, from nothing to where it is wanted.
History = Callable[[PushKey, datetime], list[Change]]


def queued(key: PushKey, now: datetime) -> list[Change]:
    """Push an order."""
    return [life.first_pushed(key, now)]


def held(key: PushKey, now: datetime) -> list[Change]:
    """Push an order whose account is held."""
    pushed = life.first_pushed(key, now)
    parked = life.parked(pushed.after, HoldReason.OUTAGE, now)
    return [pushed, parked] if parked else [pushed]


def dead(key: PushKey, now: datetime) -> list[Change]:
    """Push an order that Klarna calls wrong."""
    pushed = life.first_pushed(key, now)
    return [pushed, life.dead(pushed.after, Reason.REJECTED, now, "HTTP 400")]


def fill(ledger: Ledger, history: History, accounts: Iterable[str], each: int = 1) -> None:
    """Take so many orders of each account through a history; in turn, as they would come."""
    names = list(accounts)
    keys = (PushKey(name, str(uuid4())) for _ in range(each) for name in names)
    while batch := list(islice(keys, _BATCH)):
        histories = [history(key, datetime.now(UTC)) for key in batch]
        for number, step in enumerate(zip(*histories, strict=True)):
            if number:
                _pop(ledger, batch)
            ledger.commit_many(list(step))


def _pop(ledger: Ledger, keys: list[PushKey]) -> None:
    """Take jobs out of where they wait, as a worker does that begins with them."""
    queue = ledger.rq.queue
    pipeline = ledger.redis.pipeline(transaction=False)
    for key in keys:
        pipeline.zrem(queue.deferred_job_registry.key, job_id(key))
        pipeline.lrem(queue.key, -1, job_id(key))
    pipeline.execute()
