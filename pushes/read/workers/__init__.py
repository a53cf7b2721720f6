"""Counting live workers. Reads only: RQ's own ways of counting clean up as they count.

A worker of this program acknowledges orders. RQ's own, `rq worker`, cannot.
"""

from dataclasses import dataclass
from typing import cast

from redis import Redis
from rq.suspension import WORKERS_SUSPENDED
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from pushes import policy
from pushes.read.unreadable import Unreadable
from pushes.store import keys
from pushes.store.rq_job import QUEUE

# With every heartbeat RQ lets a worker's key live for the worker's ttl and 60 s more, and for 60 s
# when it ends. A key with less left is that of a worker which ended or missed its heartbeats.
SILENT_BELOW_S = 60


@dataclass(frozen=True, slots=True)
class LiveWorkers:
    """How many workers beat: ours, and others that take jobs from our queue and cannot do them.

    `skewed` are those of ours that take no job, since their clocks are too far from Redis's.
    `suspended`: `rq suspend` was called, so none of them takes a job.
    """

    ours: int = 0
    others: int = 0
    suspended: bool = False
    skewed: int = 0


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
        pipeline.hmget(name, keys.WORKER_VERSION_FIELD, keys.WORKER_SKEW_FIELD)
    answers = pipeline.execute(raise_on_error=False)
    live = [
        unreadable.read(name.decode(errors="replace"), fields, _skew_of_ours, None)
        for name, ttl_s, fields in zip(names, answers[::2], answers[1::2], strict=True)
        if ttl_s > SILENT_BELOW_S
    ]
    ours = [skew_s for skew_s in live if skew_s is not None]
    slack_s = policy.CLOCK_SLACK.total_seconds()
    skewed = sum(abs(skew_s) > slack_s for skew_s in ours)
    return LiveWorkers(len(ours), len(live) - len(ours), bool(suspended), skewed)


def _skew_of_ours(fields: tuple[bytes | None, bytes | None]) -> float | None:
    """Return by how many seconds the clock of one of ours is ahead; None for another worker."""
    version, skew_s = fields
    return None if version is None else float(skew_s or 0)
