"""Puts back in the queue what has waited long enough: retries and held pushes.

Every worker runs it. Two workers that find the same push due do no harm: the ledger takes the
first change only. What stands in RQ's registry without a push that waits for a time is taken
out, so that it holds up nothing.
"""

from datetime import datetime
from typing import cast

from pushes import keys, life, log
from pushes.ledger import Ledger
from pushes.model import Change

_log = log.get(__name__)

# One look takes this many at most, so that a backlog cannot hold up the next look for long.
_BATCH = 500


def queue_due(ledger: Ledger, now: datetime) -> int:
    """Queue the pushes whose time has come; return how many this call queued."""
    registry = ledger.placement.queue.scheduled_job_registry
    due = cast(
        list[bytes],
        ledger.redis.zrangebyscore(registry.key, "-inf", now.timestamp(), start=0, num=_BATCH),
    )
    if not due:
        return 0
    wanted = {job_id: key for job_id in due if (key := keys.find_key(job_id))}
    changes: list[Change] = []
    astray = set(due) - wanted.keys()
    for job_id, push in zip(wanted, ledger.get_many(wanted.values()), strict=True):
        change = life.due(push, now) if push else None
        if change:
            changes.append(change)
        else:
            astray.add(job_id)
    _take_out(ledger, astray)
    return sum(ledger.update_many(changes))


def _take_out(ledger: Ledger, astray: set[bytes]) -> None:
    registry = ledger.placement.queue.scheduled_job_registry
    for job_id in astray:
        _log.warning(
            "queue.stray_schedule_dropped",
            job_id=repr(job_id[:80]),
            meaning="RQ's schedule named a job for which no push waits; no order is concerned",
            action="find out who writes to this Redis, unless a worker was just moved ahead",
        )
        ledger.tally("stray_schedule_dropped")
        ledger.redis.zrem(registry.key, job_id)
