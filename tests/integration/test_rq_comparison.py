"""RQ's own worker and ours over the same job: what is left in Redis must be the same.

`pushes.store.rq_mirror` writes RQ's keys itself. When RQ moves, this is what fails first; whatever
differs on purpose is named in `ON_PURPOSE`.
"""

import re
import zlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from redis import Redis
from rq import SimpleWorker, get_current_job
from rq.serializers import JSONSerializer

from pushes.model import PushKey, Reason
from pushes.store.ledger import Ledger
from tests.builders import NOW, ScriptedAcknowledger, claim, pop, worker_parts
from worker import jobs
from worker.attempt.outcomes import AccountSignal, Acknowledged, Dead, Outcome, Retry, Spends

KEY = PushKey("default", "00000001-1111-6222-a333-444455556666")
WORKER = "worker-1"
NOISE = re.compile(r"[0-9a-f]{32}|\d{4}-\d\d-\d\dT[\d:.]+Z|\d{9,}(\.\d+)?(-\d+)?")
ON_PURPOSE = {
    # The hash is written once; RQ writes every field again at every step and drops none.
    ("rq:job", "retries_left"),  # RQ counts down on each retry; ours are in the ledger
    ("rq:job", "retry_intervals"),  # the test's way to make RQ wait
    ("rq:job", "last_heartbeat"),  # RQ beats once more when a job ends
    ("rq:job", "enqueued_at"),
    ("rq:results", "exc_string"),  # a traceback there, a reason and a next step here
}

Dump = dict[str, object]


def test_it_leaves_a_finished_job_as_rq_does(redis_client: Redis) -> None:
    theirs = run_rq(redis_client, lambda: "acknowledged")
    ours = run_ours(redis_client, Acknowledged())

    assert "rq:finished:klarna-ack" in ours
    assert ours == theirs


def test_it_leaves_a_failed_job_as_rq_does(redis_client: Redis) -> None:
    theirs = run_rq(redis_client, fail_for_good)
    ours = run_ours(redis_client, Dead(Reason.REJECTED, "HTTP 400"))

    assert "rq:failed:klarna-ack" in ours
    assert ours == theirs


def test_it_leaves_a_job_that_waits_for_its_retry_as_rq_does(redis_client: Redis) -> None:
    theirs = run_rq(redis_client, fail_for_a_while)
    ours = run_ours(
        redis_client,
        Retry(timedelta(seconds=60), Spends.FAILURE, "HTTP 500", AccountSignal.FAILING),
    )

    assert "rq:scheduled:klarna-ack" in ours
    assert ours == theirs


def test_it_leaves_a_running_job_as_rq_does(redis_client: Redis) -> None:
    seen: list[Dump] = []

    run_rq(redis_client, lambda: seen.append(dump(redis_client)))
    accept(redis_client)
    pop(Ledger(redis_client))
    worker_parts(redis_client, WORKER).starter.start([claim(Ledger(redis_client), KEY)])

    assert "rq:wip:klarna-ack" in dump(redis_client)
    assert [dump(redis_client)] == seen


def fail_for_good() -> None:
    job = get_current_job()
    assert job
    job.retries_left = 0
    raise ValueError("for good")


def fail_for_a_while() -> None:
    job = get_current_job()
    assert job
    job.retries_left, job.retry_intervals = 1, [60]
    raise ValueError("for a while")


def accept(redis: Redis) -> None:
    redis.flushall()
    Ledger(redis).accept(KEY, NOW)


def run_rq(redis: Redis, attempt: Callable[[], object]) -> Dump:
    accept(redis)
    worker = SimpleWorker(
        ["klarna-ack"],
        connection=redis,
        name=WORKER,
        serializer=JSONSerializer,
        worker_ttl=30,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "acknowledge_push", attempt)
        worker.work(burst=True, logging_level="ERROR")
    return dump(redis)


def run_ours(redis: Redis, outcome: Outcome) -> Dump:
    accept(redis)
    ledger = Ledger(redis)
    worker = worker_parts(redis, WORKER)
    pop(ledger)
    for attempt in worker.starter.start([claim(ledger, KEY)]):
        worker.settler.settle([ScriptedAcknowledger(outcome).run(attempt)])
    return dump(redis)


def dump(redis: Redis) -> Dump:
    """Everything RQ keeps about jobs and whether it expires, without what two runs cannot share."""
    names = [name.decode() for name in cast(list[bytes], redis.keys("rq:*"))]
    kept = [
        name
        for name in names
        if not re.match(r"rq:(workers?$|workers?:(?!.*executions)|clean|group|scheduler)", name)
    ]
    return {quiet(name): (contents(redis, name), redis.ttl(name) > 0) for name in sorted(kept)}


def contents(redis: Redis, name: str) -> Any:  # noqa: ANN401 - whatever the key holds
    kind = cast(bytes, redis.type(name))
    if kind == b"hash":
        return fields(name, cast(dict[bytes, bytes], redis.hgetall(name)))
    if kind == b"stream":
        entries = cast(list[tuple[bytes, dict[bytes, bytes]]], redis.xrange(name))
        return [fields(name, entry) for _id, entry in entries]
    if kind == b"zset":
        raw = cast(list[tuple[bytes, float]], redis.zrange(name, 0, -1, withscores=True))
        return [(quiet(member.decode()), score > 0) for member, score in raw]
    if kind == b"list":
        return [quiet(item.decode()) for item in cast(list[bytes], redis.lrange(name, 0, -1))]
    return sorted(quiet(item.decode()) for item in cast(set[bytes], redis.smembers(name)))


def fields(name: str, raw: dict[bytes, bytes]) -> dict[str, str]:
    """Name the fields that say something: to RQ's readers an empty one is none."""
    family = ":".join(name.split(":")[:2])
    return {
        field.decode(): quiet(unpacked(value).decode())
        for field, value in raw.items()
        if value and (family, field.decode()) not in ON_PURPOSE
    }


def quiet(text: str) -> str:
    return NOISE.sub("~", text)


def unpacked(value: bytes) -> bytes:
    """RQ packs a job's data when it saves it and reads it either way; ours is not packed."""
    return zlib.decompress(value) if value.startswith(b"x\x9c") else value
