"""What a job that was popped from the queue means: the record decides, the job only points to it.

Refused: jobs that are no push of ours, whoever put them there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from random import getrandbits
from typing import cast

from redis.exceptions import ResponseError

from pushes import jobs, keys, life, log
from pushes import queue as front_door
from pushes.ledger import Ledger
from pushes.model import Change, Push, PushKey, Reason

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Popped:
    """A popped job as Redis holds it; `data` is None when its hash is gone."""

    key: PushKey
    data: bytes | None
    push: Push | None


def pop(ledger: Ledger, at_most: int, block_s: int) -> list[PushKey]:
    """Take jobs out of the queue, into RQ's intermediate list; wait `block_s` for the first.

    A worker that dies now loses nothing: recovery finds them there.
    """
    queue = ledger.placement.queue
    names = queue.key, queue.intermediate_queue_key
    if waiting := ledger.redis.llen(queue.key):
        pipeline = ledger.redis.pipeline(transaction=False)
        for _ in range(min(at_most, waiting)):
            pipeline.lmove(*names)
        taken = [job_id for job_id in pipeline.execute() if job_id]
    else:
        first = cast(bytes | None, ledger.redis.blmove(*names, block_s)) if block_s else None
        taken = [first] if first else []
    return [key for job_id in taken if (key := _key_or_drop(ledger, job_id))]


def read(ledger: Ledger, wanted: list[PushKey]) -> Iterator[Popped]:
    """Read popped jobs and their records."""
    for key, (data, push) in zip(wanted, ledger.get_with_jobs(wanted), strict=True):
        yield Popped(key, b"" if isinstance(data, ResponseError) else data, push)


def judge(popped: Popped, worker: str, now: datetime) -> Change | None:
    """Say what becomes of the push. None: its job needs nothing more, and is dropped."""
    push = popped.push
    if push is None:
        return None
    if popped.data is None:
        return life.requeued(push, now)
    try:
        jobs.check(popped.data)
    except jobs.UnreadableJobError as error:
        dead = life.dead(push, Reason.UNREADABLE, now, str(error))
        return dead if push.state.is_waiting else None
    return life.started(push, worker, f"{getrandbits(128):032x}", now)


def drop(ledger: Ledger, popped: Popped, now: datetime) -> None:
    """Forget a popped job; one without a record is taken in anew, since it may be an order."""
    if popped.push is None:
        front_door.accept(ledger, popped.key, now, event="found_in_queue")
    _forget(ledger, keys.job_id(popped.key).encode())


def _key_or_drop(ledger: Ledger, job_id: bytes) -> PushKey | None:
    key = keys.find_key(job_id)
    if key is None:
        _log.error(
            "queue.foreign_job_dropped",
            job_id=repr(job_id[:80]),
            meaning="somebody put a job that is no push into our queue; no order is concerned",
            action="find out who writes to this Redis",
        )
        ledger.tally("foreign_job_dropped")
        _forget(ledger, job_id)
    return key


def _forget(ledger: Ledger, job_id: bytes) -> None:
    ledger.redis.lrem(ledger.placement.queue.intermediate_queue_key, 1, cast(str, job_id))
