"""Counting live workers. Reads only: RQ's own ways of counting clean up as they count.

A worker of this program acknowledges orders. RQ's own, `rq worker`, cannot.
"""

from dataclasses import dataclass
from typing import cast

from redis import Redis
from rq.suspension import WORKERS_SUSPENDED
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from pushes.read.unreadable import Unreadable
from pushes.store import keys
from pushes.store.rq_job import QUEUE

# With every heartbeat RQ lets a worker's key live for the worker's ttl and 60 s more, and for 60 s
# when it ends. A key with less left is that of a worker which ended or missed its heartbeats.
_SILENT_BELOW_S = 60


@dataclass(frozen=True, slots=True)
class LiveWorkers:
    """How many workers beat: ours, and others that take jobs from our queue and cannot do them.

    `suspended`: `rq suspend` was called, so none of them takes a job.
    """

    ours: int = 0
    others: int = 0
    suspended: bool = False


def read(redis: Redis, unreadable: Unreadable) -> LiveWorkers:
    """Count the workers that beat; no clocks of two machines are compared. Raises RedisError."""
    registered = WORKERS_BY_QUEUE_KEY % QUEUE
    pipeline = redis.pipeline(transaction=False)
    pipeline.exists(WORKERS_SUSPENDED)
    pipeline.smembers(registered)
    suspended, members = pipeline.execute(raise_on_error=False)
    names = unreadable.read(registered, cast(set[bytes], members), sorted, [])
    for name in names:
        pipeline.ttl(name)
        pipeline.hexists(name, keys.WORKER_VERSION_FIELD)
    answers = pipeline.execute(raise_on_error=False)
    counts = {True: 0, False: 0}
    for name, ttl_s, is_ours in zip(names, answers[::2], answers[1::2], strict=True):
        if ttl_s > _SILENT_BELOW_S:
            counts[
                unreadable.read(name.decode(errors="replace"), is_ours, bool, otherwise=False)
            ] += 1
    return LiveWorkers(counts[True], counts[False], bool(suspended))
