"""Finds what a dead worker, or somebody else's hand in Redis, left behind, and mends it.

Every worker runs it. It holds the ledger's indexes against the records and against where RQ keeps
the jobs, piece by piece; whatever it mends is logged and counted. Refused: judging an attempt of
its own, or a push that moved on meanwhile.

    abandoned   running, but its worker died: nobody renews the lease, or the process is gone
    stray       popped, but never started: the worker died in between
    orphan      waiting, but its job stands nowhere: somebody removed it from RQ
    unplaced    in the queue, but not in the order in which it is served: somebody put it there
    others      an index and a record that differ: see `pushes.store.repair`
"""

from collections import Counter
from collections.abc import Set as AbstractSet
from datetime import datetime
from itertools import islice
from typing import cast

from redis.exceptions import ResponseError

from pushes import life, log
from pushes.model import Change, Lane, Push, PushKey, State
from pushes.store import counters, indexes, keys
from pushes.store.connection import is_of_one_key
from pushes.store.ledger import Ledger, Step, log_not_committed
from pushes.store.repair.differences import Difference, DifferenceKind
from pushes.store.repair.sweep import Sweep
from worker.attempt.settle import log_step
from worker.attempt.start import log_orphan
from worker.claiming.claims import drop_foreign_job
from worker.names import is_gone

_log = log.get(__name__)

# RQ's lists are short; a longer one is somebody else's doing, and is not read as a whole either.
_LISTED = 2000

# So many of what was mended are named in the log.
_EXAMPLES = 5


class Recovery:
    """What one worker finds. What it only suspects it remembers until the next scan."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._suspected_strays: set[bytes] = set()
        self._sweep = Sweep(ledger)
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
        self.place_unplaced(now)
        _log_found(self._sweep.step(now))

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
            if key is None or not self._requeue_stray(key, now):
                self._ledger.redis.lrem(popped_key, 0, cast(str, job_id))
        self._suspected_strays = popped - self._suspected_strays

    def place_unplaced(self, now: datetime) -> None:
        """Give a place in the order to jobs in the queue that have none, seen twice.

        Such as those that `rq requeue` put there: a worker then judges them like any other.
        """
        found = self._unplaced()
        for job_id in found & self._suspected_unplaced:
            if key := keys.find_key(job_id):
                place = keys.ready(key.account, Lane.BACKLOG)
                self._ledger.redis.zadd(place, {job_id: now.timestamp()})
                self._ledger.redis.sadd(keys.WORK_ARRIVED, key.account)
            else:
                drop_foreign_job(self._ledger.redis, self._ledger.rq, job_id)
        self._suspected_unplaced = found - self._suspected_unplaced

    def _unplaced(self) -> set[bytes]:
        listed = self._names(self._ledger.rq.queue.key)
        keyed = {job_id: keys.find_key(job_id) for job_id in listed}
        pipeline = self._ledger.redis.pipeline(transaction=False)
        for job_id, key in keyed.items():
            if key:
                for lane in Lane:
                    pipeline.zscore(keys.ready(key.account, lane), cast(str, job_id))
        scores = iter(cast(list[float | None], pipeline.execute()))
        return {
            job_id
            for job_id, key in keyed.items()
            if key is None or all(score is None for score in list(islice(scores, len(Lane))))
        }

    def _requeue_stray(self, key: PushKey, now: datetime) -> bool:
        def requeued(push: Push) -> Change | None:
            return life.quarantined(push, now) or life.requeued(push, now)

        change = self._advance(key, requeued)
        if change is None or change.after.state is State.DEAD:
            return change is not None
        counters.add(self._ledger.redis, "stray_requeued")
        _log.warning(
            "push.stray_requeued",
            order_id=key.order_id,
            account=key.account,
            meaning="its worker died before it began; it is in the queue again",
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
        return set(cast(list[bytes], self._ledger.redis.lrange(key, 0, _LISTED)))


def _log_found(found: list[Difference]) -> None:
    """Say which orders are queued again, and how much else was mended."""
    for one in found:
        if one.kind is DifferenceKind.ORPHAN and one.key:
            log_orphan(one.key)
    others = [one for one in found if one.kind is not DifferenceKind.ORPHAN]
    if others:
        _log.warning(
            "index.repaired",
            found=dict(Counter(str(one.kind) for one in others)),
            examples=[str(one) for one in others[:_EXAMPLES]],
            meaning="what stands in Redis of these orders agrees with their records again",
            action="find out who writes to this Redis, or whether it failed over",
        )
