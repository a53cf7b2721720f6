"""Finds what a dead worker, or somebody else's hand in Redis, left behind, and mends it.

Every worker runs it. It holds the ledger's indexes against where RQ keeps the jobs; whatever it
mends is logged and counted. Refused: judging an attempt of its own, or a push that moved on
meanwhile.

    abandoned   running, but its worker died: nobody renews the lease, or the process is gone
    stray       popped, but never started: the worker died in between
    orphan      waiting, but its job stands nowhere: somebody removed it from RQ
    unplaced    in the queue, but not in the order in which it is served: somebody put it there
"""

from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import cast

from redis.exceptions import ResponseError

from pushes import life, log
from pushes.accounts import serving
from pushes.model import Change, Lane, Push, PushKey, State
from pushes.store import counters, indexes, keys
from pushes.store.connection import is_of_one_key
from pushes.store.ledger import Ledger, Step, log_not_committed
from worker.attempt.settle import log_step
from worker.claiming.claims import drop_foreign_job
from worker.names import is_gone

_log = log.get(__name__)


class Recovery:
    """What one worker finds. What it only suspects it remembers until the next scan."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._suspected_strays: set[bytes] = set()
        self._suspected_orphans: set[PushKey] = set()
        self._suspected_unplaced: set[bytes] = set()

    def scan(
        self, now: datetime, mine: AbstractSet[str] = frozenset(), *, leases_tell: bool = True
    ) -> None:
        """Mend what is found. `mine` are the executions that the caller knows to be alive.

        Without `leases_tell` a lease that lapsed means nothing, since Redis was away until now;
        that a process is gone means the same as ever.
        """
        self.requeue_abandoned(now, mine, leases_tell=leases_tell)
        self.requeue_strays(now)
        if self._numbers_differ():
            self.requeue_orphans(now)
            self.place_unplaced(now)
        else:
            self._suspected_orphans, self._suspected_unplaced = set(), set()

    def requeue_abandoned(
        self, now: datetime, mine: AbstractSet[str] = frozenset(), *, leases_tell: bool = True
    ) -> int:
        """Put back the pushes whose worker stopped renewing its lease; return how many.

        A worker that is seen to have ended, on this machine, is not waited for.
        """
        running = self._ledger.read_many(indexes.members(self._ledger.redis, State.RUNNING), now)
        leases = self._leases()
        put_back = 0
        for push in running:
            if push is None or push.state is not State.RUNNING or push.execution_id in mine:
                continue
            execution = self._ledger.rq.execution(push)
            lapsed = leases.get(execution.composite_key, 0.0) < now.timestamp()
            if (lapsed and leases_tell) or is_gone(push.worker or ""):
                put_back += self._give_up_on(push, now)
        return put_back

    def requeue_strays(self, now: datetime) -> None:
        """Put back jobs that stay popped: seen twice, so that one just being started is left."""
        popped_key = self._ledger.rq.queue.intermediate_queue_key
        popped = self._names(popped_key)
        for job_id in popped & self._suspected_strays:
            key = keys.find_key(job_id)
            if key is None or not self._requeue("stray", key, now):
                self._ledger.redis.lrem(popped_key, 0, cast(str, job_id))
        self._suspected_strays = popped - self._suspected_strays

    def requeue_orphans(self, now: datetime) -> None:
        """Put back waiting pushes whose job stands nowhere, seen twice."""
        found = self._orphans()
        for key in found & self._suspected_orphans:
            self._requeue("orphan", key, now)
        self._suspected_orphans = found - self._suspected_orphans

    def place_unplaced(self, now: datetime) -> None:
        """Give a place in the order to jobs in the queue that have none, seen twice.

        Such as those that `rq requeue` put there: a worker then judges them like any other.
        """
        found = self._ledger.rq.waiting() - self._in_order()
        for job_id in found & self._suspected_unplaced:
            if key := keys.find_key(job_id):
                place = keys.ready(key.account, Lane.BACKLOG)
                self._ledger.redis.zadd(place, {job_id: now.timestamp()})
                self._ledger.redis.sadd(keys.WORK_ARRIVED, key.account)
            else:
                drop_foreign_job(self._ledger.redis, self._ledger.rq, job_id)
        self._suspected_unplaced = found - self._suspected_unplaced

    def _in_order(self) -> set[bytes]:
        return {
            job_id
            for place in self._places()
            for job_id in cast(list[bytes], self._ledger.redis.zrange(place, 0, -1))
        }

    def _places(self) -> list[str]:
        return [
            keys.ready(account, lane)
            for account in serving.working_accounts(self._ledger.redis)
            for lane in Lane
        ]

    def _numbers_differ(self) -> bool:
        """Compare the counts of ledger, RQ and the order of serving, which is cheap."""
        rq, places = self._ledger.rq, self._places()
        pipeline = self._ledger.redis.pipeline(transaction=True)
        for state in (State.QUEUED, State.RETRYING, State.HELD):
            pipeline.zcard(keys.index(state))
        rq.count_queued(pipeline)
        pipeline.zcard(rq.queue.scheduled_job_registry.key)
        for place in places:
            pipeline.zcard(place)
        queued, retrying, held, listed, deferred, popped, scheduled, *ordered = pipeline.execute()
        waiting = listed + deferred
        return bool(
            queued != waiting + popped or retrying + held != scheduled or waiting != sum(ordered)
        )

    def _orphans(self) -> set[PushKey]:
        queue = self._ledger.rq.queue
        in_ledger = {
            key
            for state in (State.QUEUED, State.RETRYING, State.HELD)
            for key in indexes.members(self._ledger.redis, state)
        }
        in_rq = self._ledger.rq.waiting() & self._in_order()
        in_rq |= self._names(queue.intermediate_queue_key)
        in_rq |= set(
            cast(list[bytes], self._ledger.redis.zrange(queue.scheduled_job_registry.key, 0, -1))
        )
        return {key for key in in_ledger if keys.job_id(key).encode() not in in_rq}

    def _requeue(self, kind: str, key: PushKey, now: datetime) -> bool:
        def requeued(push: Push) -> Change | None:
            return life.quarantined(push, now) or life.requeued(push, now)

        change = self._advance(key, requeued)
        if change is None or change.after.state is State.DEAD:
            return change is not None
        counters.add(self._ledger.redis, f"{kind}_requeued")
        _log.warning(
            f"push.{kind}_requeued",
            order_id=key.order_id,
            account=key.account,
            meaning="its job was not where it belongs; it is in the queue again",
        )
        return True

    def _give_up_on(self, abandoned: Push, now: datetime) -> bool:
        def crashed(push: Push) -> Change | None:
            if push.execution_id != abandoned.execution_id:
                return None
            return life.crashed(push, now)

        change = self._advance(abandoned.key, crashed, abandoned)
        if change is None:
            return False
        counters.add(self._ledger.redis, "abandoned_requeued")
        _log.warning(
            "push.abandoned",
            order_id=abandoned.key.order_id,
            account=abandoned.key.account,
            worker=abandoned.worker,
            crashes=change.after.crashes,
            state=str(change.after.state),
            meaning="its worker died during the attempt; the push is not lost",
        )
        if change.after.state is State.DEAD:
            log_step(change.after)
        return True

    def _advance(self, key: PushKey, step: Step, seen: Push | None = None) -> Change | None:
        """Advance one push; what prevents it is logged and holds up no other."""
        try:
            return self._ledger.advance(key, step, seen)
        except ResponseError as error:
            if not is_of_one_key(error):
                raise
            log_not_committed(key, error)
            return None

    def _leases(self) -> dict[str, float]:
        registry = self._ledger.rq.queue.started_job_registry
        raw = self._ledger.redis.zrange(registry.key, 0, -1, withscores=True)
        leases = cast(list[tuple[bytes, float]], raw)
        return {member.decode(): float(until) for member, until in leases}

    def _names(self, key: str) -> set[bytes]:
        return set(cast(list[bytes], self._ledger.redis.lrange(key, 0, -1)))
