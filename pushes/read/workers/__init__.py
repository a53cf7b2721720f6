"""Counting live workers. Reads only: RQ's own ways of counting clean up as they count.

A worker of this program acknowledges orders. RQ's own, `rq worker`, cannot.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from redis import Redis
from rq.suspension import WORKERS_SUSPENDED

from pushes import policy
from pushes.read.unreadable import Unreadable
from pushes.read.workers import entries


@dataclass(frozen=True, slots=True)
class LiveWorkers:
    """How many workers beat: ours, and others that take jobs from our queue and cannot do them.

    `skewed` are those of ours that take no job, since their clocks are too far from Redis's.
    `suspended`: `rq suspend` was called, so none of them takes a job. Of ours, too: how many have
    each version; how many attempts they can make at a time, and make; and when each periodic task
    succeeded last, in the worker where that is longest ago.
    """

    ours: int = 0
    others: int = 0
    suspended: bool = False
    skewed: int = 0
    versions: Mapping[str, int] = field(default_factory=dict)
    slots: int = 0
    busy: int = 0
    tasks: Mapping[str, datetime] = field(default_factory=dict)


def read(redis: Redis, unreadable: Unreadable) -> LiveWorkers:
    """Count the workers that beat; no clocks of two machines are compared. Raises RedisError."""
    suspended = bool(redis.exists(WORKERS_SUSPENDED))
    live = entries.read(redis, unreadable)
    ours = [worker for worker in live if worker.version is not None]
    slack_s = policy.CLOCK_SLACK.total_seconds()
    tasks = sorted(((name, at) for one in ours for name, at in one.tasks.items()), reverse=True)
    return LiveWorkers(
        len(ours),
        len(live) - len(ours),
        suspended,
        skewed=sum(abs(worker.clock_ahead_s) > slack_s for worker in ours),
        versions=Counter(str(worker.version) for worker in ours),
        slots=sum(worker.slots for worker in ours),
        busy=sum(worker.busy for worker in ours),
        tasks=dict(tasks),  # of several the last one stays, which is the earliest
    )
