"""Counting live workers. Reads only: RQ's own ways of counting clean up as they count.

A worker of this program acknowledges orders. RQ's own, `rq worker`, cannot.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
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


@dataclass(frozen=True, slots=True)
class WorkerEntry:
    """What one worker of ours tells of itself with each heartbeat."""

    version: str
    skew_s: float
    slots: int
    busy: int
    tasks: Mapping[str, datetime]


_FIELDS = (
    keys.WORKER_VERSION_FIELD,
    keys.WORKER_SKEW_FIELD,
    keys.WORKER_SLOTS_FIELD,
    keys.WORKER_BUSY_FIELD,
    keys.WORKER_TASKS_FIELD,
)


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
        pipeline.hmget(name, _FIELDS)
    answers = pipeline.execute(raise_on_error=False)
    live = [
        unreadable.read(name.decode(errors="replace"), fields, _entry_of_ours, None)
        for name, ttl_s, fields in zip(names, answers[::2], answers[1::2], strict=True)
        if ttl_s > SILENT_BELOW_S
    ]
    ours = [entry for entry in live if entry is not None]
    slack_s = policy.CLOCK_SLACK.total_seconds()
    tasks = sorted(((name, at) for one in ours for name, at in one.tasks.items()), reverse=True)
    return LiveWorkers(
        len(ours),
        len(live) - len(ours),
        bool(suspended),
        skewed=sum(abs(entry.skew_s) > slack_s for entry in ours),
        versions=Counter(entry.version for entry in ours),
        slots=sum(entry.slots for entry in ours),
        busy=sum(entry.busy for entry in ours),
        tasks=dict(tasks),  # of several the last one stays, which is the earliest
    )


def _entry_of_ours(fields: list[bytes | None]) -> WorkerEntry | None:
    """Read what one of ours tells; None for another worker. Raises ValueError or TypeError."""
    version, skew_s, slots, busy, tasks = fields
    if version is None:
        return None
    succeeded = json.loads(tasks or b"{}")
    return WorkerEntry(
        version.decode(),
        float(skew_s or 0),
        int(slots or 0),
        int(busy or 0),
        {name: datetime.fromtimestamp(at, UTC) for name, at in succeeded.items()},
    )
