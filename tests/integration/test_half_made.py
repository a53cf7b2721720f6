"""A commit that Redis stops half way is made again as a whole, whichever command it stopped at.

A script is not rolled back. Redis stops one here by forbidding its user one command, right by
right; a twin of the order, whose commit nobody stopped, shows how it must look in the end.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis
from redis.exceptions import RedisError

from pushes import life
from pushes.model import Change, HoldReason, Push, PushKey, Reason, State
from pushes.store import indexes, keys, records
from pushes.store.ledger import CommitResult, Ledger
from pushes.store.server import rights
from pushes.store.server.rights import Role
from service import make_app
from service.settings import load
from tests.builders import NOW, RedisUser, ScriptedAcknowledger, a_key, put, worker_parts

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def restricted(redis_client: Redis, redis_url: str) -> Iterator[RedisUser]:
    user = RedisUser(redis_client, redis_url, Role.WORKER)
    yield user
    user.close()


@pytest.fixture
def web_user(redis_client: Redis, redis_url: str) -> Iterator[RedisUser]:
    user = RedisUser(redis_client, redis_url, Role.WEB)
    yield user
    user.close()


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def everything_about(redis: Any, key: PushKey) -> dict[str, str]:  # noqa: ANN401 - read as bytes
    """All that Redis holds of one order, its id replaced, without what differs between twins.

    A line of the timeline, or a result in RQ, may stand twice when half a commit was made before.
    """
    job_id = keys.job_id(key)
    found: dict[str, Any] = {}

    def fields_of(name: str) -> list[tuple[bytes, bytes]]:
        return sorted(one for one in redis.hgetall(name).items() if one[1] and one[0] != b"commit")

    for name in sorted(str(raw, "utf-8") for raw in redis.keys("*")):
        kind = redis.type(name)
        if job_id in name:
            content = {
                b"hash": fields_of,
                b"list": lambda it: once(redis.lrange(it, 0, -1)),
                b"zset": lambda it: redis.zrange(it, 0, -1, withscores=True),
                b"stream": lambda it: once([fields for _, fields in redis.xrange(it)]),
            }[kind](name)  # type: ignore[no-untyped-call]
            found[name] = (str(content).replace(job_id, "ID"), redis.ttl(name) > 0)
        elif kind == b"zset":
            members = redis.zrange(name, 0, -1, withscores=True)
            found[name] = sorted((m, score) for m, score in members if job_id.encode() in m)
        elif kind == b"list":
            found[name] = redis.lrange(name, 0, -1).count(job_id.encode())
    return {
        name.replace(job_id, "ID"): str(held).replace(job_id, "ID").replace(key.order_id, "ID")
        for name, held in found.items()
        if held
    }


def once(lines: list[Any]) -> list[Any]:
    """Without what stands twice in a row."""
    return [line for line, _ in groupby(lines)]


Step = Callable[[Push], Change | None]
RUN = ("worker-1", "b" * 32, LATER)
STEPS: dict[str, tuple[State | None, Step]] = {
    "pushed first": (None, lambda push: life.first_pushed(push.key, NOW)),
    "pushed again": (State.QUEUED, lambda push: life.pushed_again(push, LATER)),
    "expedited": (State.RETRYING, lambda push: life.pushed_again(push, LATER)),
    "revived": (State.ACKNOWLEDGED, lambda push: life.pushed_again(push, LATER)),
    "revived from the dead": (State.DEAD, lambda push: life.pushed_again(push, LATER)),
    "started": (State.QUEUED, lambda push: life.started(push, *RUN)),
    "acknowledged": (State.RUNNING, lambda push: life.acknowledged(push, LATER)),
    "not needed": (State.RUNNING, lambda push: life.not_needed(push, LATER)),
    "retrying": (
        State.RUNNING,
        partial(life.retrying, at=LATER, now=NOW, error="500", failed=True),
    ),
    "held": (State.RUNNING, lambda push: life.held(push, HoldReason.OUTAGE, NOW, "500")),
    "dead": (State.RUNNING, lambda push: life.dead(push, Reason.REJECTED, NOW, "400")),
    "crashed": (State.RUNNING, lambda push: life.crashed(push, LATER)),
    "released": (State.RUNNING, lambda push: life.released(push, LATER)),
    "parked": (State.QUEUED, lambda push: life.parked(push, HoldReason.OUTAGE, NOW)),
    "resumed": (State.HELD, lambda push: life.resumed(push, NOW)),
    "due": (State.RETRYING, lambda push: life.due(push, LATER)),
    "requeued": (State.RETRYING, lambda push: life.requeued(push, LATER)),
    "replayed": (State.DEAD, lambda push: life.replayed(push, "ops", "why", LATER)),
    "discarded": (State.DEAD, lambda push: life.discarded(push, "ops", "why", LATER)),
    "quarantined": (State.RETRYING, lambda push: life.quarantined(push, LATER)),
}


def change_of(ledger: Ledger, name: str) -> Change:
    """A change of a new order that went through all the steps before."""
    state, step = STEPS[name]
    push = put(ledger, state) if state else Push(a_key(), State.QUEUED, 1, NOW, NOW, NOW)
    if name == "quarantined":
        ledger.redis.hset(keys.record(push.key), "order.expires_at", "never")
        spoilt = records.get(ledger.redis, push.key)
        assert spoilt
        push = spoilt
    change = step(push)
    assert change
    return change


def commands_of(ledger: Ledger, change: Change) -> set[str]:
    """The commands of Redis that the script runs for a change."""
    written = {str(command[0]) for command in ledger._commands(change)}  # noqa: SLF001 - what it is about
    if "JOIN_QUEUE" in written:
        written |= {"LLEN", "RPUSH"}
    if "LEAVE_QUEUE" in written:
        written |= {"ZREM", "LREM"}
    looked = {"EXISTS"} if change.before is None else {"HMGET"}
    looked = {"HGETALL"} if change.before and change.before.unreadable else looked
    ours = {"JOIN_QUEUE", "LEAVE_QUEUE", "COUNT"}
    return {command.lower() for command in (written | looked) - ours}


@pytest.mark.parametrize("step", STEPS)
def test_it_makes_again_as_a_whole_what_was_half_made(
    ledger: Ledger, restricted: RedisUser, step: str
) -> None:
    behind_bars = Ledger(restricted.redis)
    for command in sorted(commands_of(ledger, change_of(ledger, step))):
        ledger.redis.flushdb()
        twin, change = change_of(ledger, step), change_of(ledger, step)
        assert ledger.commit_each([twin]) == [CommitResult.MADE]

        with restricted.denied(command), pytest.raises(RedisError, match=command):
            behind_bars.commit_each([change])
        again = behind_bars.commit_each([change])

        assert again == [CommitResult.MADE], command
        assert everything_about(ledger.redis, change.after.key) == everything_about(
            ledger.redis, twin.after.key
        ), command


def test_it_lists_every_command_that_a_commit_runs(ledger: Ledger) -> None:
    run = {command for step in STEPS for command in commands_of(ledger, change_of(ledger, step))}
    assert run <= rights.COMMIT


PUSHED = {
    "a new order": None,
    "one that is retrying": State.RETRYING,
    "one that was acknowledged long ago": State.ACKNOWLEDGED,
    "a dead one": State.DEAD,
    "one that waits": State.QUEUED,
}


@pytest.mark.parametrize("command", sorted(rights.COMMIT))
@pytest.mark.parametrize("state", PUSHED.values(), ids=PUSHED)
def test_it_answers_no_push_with_200_that_is_never_acknowledged(
    ledger: Ledger, restricted: RedisUser, command: str, state: State | None
) -> None:
    client = make_app(load({"REDIS_URL": restricted.url})).test_client()
    key = put(ledger, state).key if state else a_key()

    with restricted.denied(command):
        status = push(client, key)
    if status != 200:
        assert status == 503
        assert push(client, key) == 200

    assert attempts_made(ledger) == [key]
    after = records.get(ledger.redis, key)
    assert after
    assert after.state is State.ACKNOWLEDGED
    assert attempts_made(ledger) == []
    assert [state for state in State if key in indexes.members(ledger.redis, state)] == [
        State.ACKNOWLEDGED
    ]
    assert ledger.rq.queue.get_job_ids() == []


def push(client: FlaskClient, key: PushKey) -> int:
    return client.post(f"/push?klarna_order_id={key.order_id}").status_code


def attempts_made(ledger: Ledger) -> list[PushKey]:
    """What a worker attempts until nothing waits, each time with success."""
    worker, scripted = worker_parts(ledger.redis), ScriptedAcknowledger()
    made: list[PushKey] = []
    while claims := worker.claims.claim(32).claims:
        attempts = worker.starter.start(claims)
        worker.settler.settle([scripted.run(attempt) for attempt in attempts])
        made += [attempt.push.key for attempt in attempts]
    return made


@pytest.mark.parametrize("command", ["zadd", "hset", "rpush", "sadd"])
def test_readyz_names_a_right_that_is_missing(web_user: RedisUser, command: str) -> None:
    client = make_app(load({"REDIS_URL": web_user.url})).test_client()
    assert client.get("/readyz").status_code == 200

    with web_user.denied(command):
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert f"(+{command})" in json.loads(answer.text)["detail"]


def test_it_counts_half_made_pushes_as_not_received(ledger: Ledger, restricted: RedisUser) -> None:
    client = make_app(load({"REDIS_URL": restricted.url})).test_client()
    key = a_key()
    with restricted.denied("rpush"):
        assert [push(client, key) for _ in range(5)] == [503] * 5
    assert push(client, key) == 200

    after = records.get(ledger.redis, key)
    assert after
    assert (after.pushes, after.rev) == (1, 1)
    assert datetime.now(UTC) - after.first_push_at < timedelta(minutes=1)
    assert [entry.event for entry in records.timeline(ledger.redis, key)] == ["pushed"]
