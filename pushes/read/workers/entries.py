"""Which workers are alive, where, of which version, and since when they have their settings.

From RQ's list of workers, to which each heartbeat adds what only this program knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict, cast

from redis import Redis
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from pushes.read.unreadable import Unreadable
from pushes.read.views import instant, optional
from pushes.read.workers import SILENT_BELOW_S
from pushes.store import keys
from pushes.store.rq_job import QUEUE

_FIELDS = (
    "hostname",
    "pid",
    "birth",
    "state",
    keys.WORKER_VERSION_FIELD,
    keys.WORKER_SKEW_FIELD,
    keys.WORKER_SETTINGS_FIELD,
)


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker that beats. `version` is None for one that is not ours: it cannot acknowledge.

    `settings_read_at` is None for a version that did not tell.
    """

    name: str
    host: str
    pid: int
    started_at: datetime
    is_busy: bool
    version: str | None
    clock_ahead_s: float
    settings_read_at: datetime | None


class WorkerView(TypedDict):
    """A worker as JSON. `version` is null for one that is not ours."""

    name: str
    host: str
    pid: int
    started_at: str
    busy: bool
    version: str | None
    clock_ahead_s: float
    settings_read_at: str | None


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
        if ttl_s > SILENT_BELOW_S:
            entry = unreadable.read(name.decode(errors="replace"), (name, fields), _decode, None)
            found += [entry] if entry else []
    return sorted(found, key=lambda worker: (worker.host, worker.started_at, worker.name))


def view(worker: LiveWorker) -> WorkerView:
    """Show one."""
    return {
        "name": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "started_at": instant(worker.started_at),
        "busy": worker.is_busy,
        "version": worker.version,
        "clock_ahead_s": worker.clock_ahead_s,
        "settings_read_at": optional(worker.settings_read_at),
    }


def _decode(entry: tuple[bytes, Sequence[bytes | None] | Exception]) -> LiveWorker:
    """Read one of RQ's entries. Raises ValueError, or the RedisError that came in its place."""
    name, fields = entry
    if isinstance(fields, Exception):
        raise fields
    host, pid, birth, state, version, ahead_s, read_at = (
        (field or b"").decode(errors="replace") for field in fields
    )
    return LiveWorker(
        name=name.decode().rpartition(":")[2],
        host=host,
        pid=int(pid),
        started_at=datetime.fromisoformat(birth).astimezone(UTC),
        is_busy=state == "busy",
        version=version or None,
        clock_ahead_s=float(ahead_s or 0),
        settings_read_at=datetime.fromtimestamp(float(read_at), UTC) if read_at else None,
    )
