"""Queues the pushes whose next attempt is due.

Every worker runs it. Two workers that find the same push due do no harm: the ledger takes the
first change only. What stands in RQ's registry without a push that waits for a time is taken
out, so that it holds up nothing.
"""

from datetime import datetime
from typing import cast

from pushes import life, log
from pushes.model import Change
from pushes.store import counters, keys
from pushes.store.connection import read_script
from pushes.store.ledger import Ledger

_log = log.get(__name__)

_TAKE_OUT = read_script("worker.periodic", "take_out.lua")

# One scan takes this many at most, so that a backlog cannot hold up the next scan for long.
_BATCH = 500


def queue_due(ledger: Ledger, now: datetime) -> int:
    """Queue the pushes whose time has come; return how many this call queued."""
    registry = ledger.rq.queue.scheduled_job_registry
    due = dict(
        cast(
            list[tuple[bytes, float]],
            ledger.redis.zrangebyscore(
                registry.key, "-inf", now.timestamp(), start=0, num=_BATCH, withscores=True
            ),
        )
    )
    if not due:
        return 0
    wanted = {job_id: key for job_id in due if (key := keys.find_key(job_id))}
    changes: list[Change] = []
    astray = set(due) - wanted.keys()
    for job_id, push in zip(wanted, ledger.read_many(wanted.values(), now), strict=True):
        change = life.due(push, now) if push else None
        if change:
            changes.append(change)
        else:
            astray.add(job_id)
    for job_id in astray:
        _take_out(ledger, job_id, due[job_id])
    return sum(ledger.commit_many(changes))


def _take_out(ledger: Ledger, job_id: bytes, score: float) -> None:
    schedule = ledger.rq.queue.scheduled_job_registry.key
    if not ledger.redis.eval(_TAKE_OUT, 1, schedule, cast(str, job_id), repr(score)):
        return  # another worker was faster
    counters.add(ledger.redis, "stray_schedule_dropped")
    _log.warning(
        "queue.stray_schedule_dropped",
        job_id=repr(job_id[:80]),
        meaning="RQ's schedule named a job for which no push waits; no order is concerned",
        action="find out who writes to this Redis",
    )
