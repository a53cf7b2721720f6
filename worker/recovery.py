"""Finds what a dead worker left behind and puts it back in the queue.

Every worker runs it. It reads the ledger's own index of running pushes and holds it against the
leases in RQ's StartedJobRegistry: an attempt whose lease lapsed, or has gone, is over.
"""

from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import cast

from pushes import keys, life, log
from pushes.ledger import Ledger
from pushes.model import Change, Push, State

_log = log.get(__name__)


def requeue_abandoned(ledger: Ledger, now: datetime, mine: AbstractSet[str] = frozenset()) -> int:
    """Put back the pushes whose worker stopped renewing its lease; return how many.

    `mine` are the executions the caller knows to be alive: its own.
    """
    running = [push for push in ledger.get_many(ledger.members(State.RUNNING)) if push]
    running = [push for push in running if push.execution_id not in mine]
    leases = _leases(ledger)
    put_back = 0
    for push in running:
        lease_until = leases.get(ledger.placement.execution(push).composite_key, 0.0)
        if push.state is State.RUNNING and lease_until < now.timestamp():
            put_back += _give_up_on(ledger, push, now)
    return put_back


def requeue_strays(ledger: Ledger, suspects: set[str], now: datetime) -> set[str]:
    """Put back jobs that were popped by a worker which died before it began.

    `suspects` is what the last call returned: a job is a stray when it is seen twice, so that one
    that is just being started is left alone.
    """
    queue = ledger.placement.queue
    raw = cast(list[bytes], ledger.redis.lrange(queue.intermediate_queue_key, 0, -1))
    popped = {job_id.decode() for job_id in raw}
    for job_id in popped & suspects:
        key = keys.parse_job_id(job_id)
        change = ledger.advance(key, lambda push: life.requeued(push, now))
        if change is None:
            ledger.redis.lrem(queue.intermediate_queue_key, 0, job_id)
        _log.warning("push.stray_requeued", order_id=key.order_id, account=key.account)
    return popped - suspects


def _leases(ledger: Ledger) -> dict[str, float]:
    registry = ledger.placement.queue.started_job_registry
    raw = cast(list[tuple[bytes, float]], ledger.redis.zrange(registry.key, 0, -1, withscores=True))
    return {member.decode(): float(until) for member, until in raw}


def _give_up_on(ledger: Ledger, abandoned: Push, now: datetime) -> bool:
    def crashed(push: Push) -> Change | None:
        if push.execution_id != abandoned.execution_id:
            return None
        return life.crashed(push, now)

    change = ledger.advance(abandoned.key, crashed, abandoned)
    if change is None:
        return False
    _log.warning(
        "push.abandoned",
        order_id=abandoned.key.order_id,
        account=abandoned.key.account,
        worker=abandoned.worker,
        crashes=change.after.crashes,
        state=str(change.after.state),
        meaning="its worker died during the attempt; the push is not lost",
    )
    return True
