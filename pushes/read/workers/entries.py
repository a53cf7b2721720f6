"""Which workers are alive, where, of which version, what they serve, and since when.

From RQ's list of workers, to which each heartbeat adds what only this program knows.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from redis import Redis
from rq.worker_registration import WORKERS_BY_QUEUE_KEY
from typing_extensions import TypedDict

from pushes.read.unreadable import Unreadable
from pushes.read.views import instant, optional
from pushes.store import keys
from pushes.store.rq_job import QUEUE

# With every heartbeat RQ lets a worker's key live for the worker's ttl and 60 s more, and for 60 s
# when it ends. A key with less left is that of a worker which ended or missed its heartbeats.
_SILENT_BELOW_S = 60

_FIELDS = (
    "hostname",
    "pid",
    "birth",
    keys.WORKER_VERSION_FIELD,
    keys.WORKER_SKEW_FIELD,
    keys.WORKER_SETTINGS_FIELD,
    keys.WORKER_SLOTS_FIELD,
    keys.WORKER_BUSY_FIELD,
    keys.WORKER_TASKS_FIELD,
    keys.WORKER_SERVES_FIELD,
    "last_heartbeat",
)


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker that beats. `version` is None for one that is not ours: it cannot acknowledge.

    `settings_read_at` is None for a version that did not tell. `slots` is how many attempts it can
    make at a time, `busy` how many it makes, `tasks` when each periodic task succeeded last.
    `serves` names the hash of its accounts in Redis, '' for a version that did not tell.
    `last_heartbeat` is by Redis's clock, however wrong its own is.
    """

    name: str
    host: str
    pid: int
    started_at: datetime
    version: str | None
    clock_ahead_s: float
    settings_read_at: datetime | None
    slots: int
    busy: int
    tasks: Mapping[str, datetime]
    serves: str
    last_heartbeat: datetime | None


class WorkerView(TypedDict):
    """A worker as JSON. `version` is null for one that is not ours.

    `accounts` are those that it serves, null for a version that did not tell. `last_heartbeat` is
    by Redis's clock, however wrong its own is.
    """

    name: str
    host: str
    pid: int
    started_at: str
    version: str | None
    clock_ahead_s: float
    settings_read_at: str | None
    slots: int
    busy: int
    last_heartbeat: str | None
    accounts: list[str] | None


def read(redis: Redis, unreadable: Unreadable) -> list[LiveWorker]:
    """List them by host and start. Raises RedisError."""
    registered = WORKERS_BY_QUEUE_KEY % QUEUE
    members = unreadable.ask(
        registered, lambda: cast(set[bytes], redis.smembers(registered)), set()
    )
    names = sorted(members)
    pipeline = redis.pipeline(transaction=False)
    for name in names:
        pipeline.ttl(name)
        pipeline.hmget(name, _FIELDS)
    answers = pipeline.execute(raise_on_error=False)
    found: list[LiveWorker] = []
    for name, ttl_s, fields in zip(names, answers[::2], answers[1::2], strict=True):
        if ttl_s > _SILENT_BELOW_S:
            entry = unreadable.read(name.decode(errors="replace"), (name, fields), _decode, None)
            found += [entry] if entry else []
    return sorted(found, key=lambda worker: (worker.host, worker.started_at, worker.name))


def accounts_of(
    redis: Redis, workers: Iterable[LiveWorker], unreadable: Unreadable
) -> dict[str, list[str]]:
    """Name the accounts in each of the hashes that workers serve. Raises RedisError."""
    names = sorted({worker.serves for worker in workers if worker.serves})
    pipeline = redis.pipeline(transaction=False)
    for name in names:
        pipeline.hgetall(name)
    answers = zip(names, pipeline.execute(raise_on_error=False), strict=True)
    return {name: unreadable.read(name, answer, _names, []) for name, answer in answers}


def views(redis: Redis, unreadable: Unreadable) -> list[WorkerView]:
    """Show all that are alive, with what they serve. Raises RedisError."""
    found = read(redis, unreadable)
    served = accounts_of(redis, found, unreadable)
    return [_view(worker, served.get(worker.serves)) for worker in found]


def _names(shares: Mapping[bytes, bytes]) -> list[str]:
    return sorted(name.decode() for name in shares)


def _view(worker: LiveWorker, accounts: list[str] | None) -> WorkerView:
    return {
        "name": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "started_at": instant(worker.started_at),
        "version": worker.version,
        "clock_ahead_s": worker.clock_ahead_s,
        "settings_read_at": optional(worker.settings_read_at),
        "slots": worker.slots,
        "busy": worker.busy,
        "last_heartbeat": optional(worker.last_heartbeat),
        "accounts": accounts,
    }


def _decode(entry: tuple[bytes, Sequence[bytes | None] | Exception]) -> LiveWorker:
    """Read one of RQ's entries. Raises ValueError, or the RedisError that came in its place."""
    name, fields = entry
    if isinstance(fields, Exception):
        raise fields
    host, pid, birth, version, ahead_s, read_at, slots, busy, tasks, serves, beat_at = (
        (field or b"").decode(errors="replace") for field in fields
    )
    succeeded = json.loads(tasks or "{}")
    return LiveWorker(
        name=name.decode().rpartition(":")[2],
        host=host,
        pid=int(pid),
        started_at=datetime.fromisoformat(birth).astimezone(UTC),
        version=version or None,
        clock_ahead_s=float(ahead_s or 0),
        settings_read_at=datetime.fromtimestamp(float(read_at), UTC) if read_at else None,
        slots=int(slots or 0),
        busy=int(busy or 0),
        tasks={task: datetime.fromtimestamp(at, UTC) for task, at in succeeded.items()},
        serves=serves,
        last_heartbeat=(
            datetime.fromisoformat(beat_at).astimezone(UTC) - timedelta(seconds=float(ahead_s or 0))
            if beat_at
            else None
        ),
    )
