"""One record or key that nobody can read costs only itself, and is kept for an operator to see."""

from collections.abc import Callable
from datetime import timedelta
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from redis import Redis
from rq.executions import ExecutionRegistry
from rq.results import Result
from structlog.testing import capture_logs

from pushes import life
from pushes.model import Entry, OrderSnapshot, Push, PushKey, Reason, State
from pushes.operate import replay
from pushes.read import dead_letters
from pushes.store import indexes, keys, records
from pushes.store.ledger import CommitResult, Ledger
from pushes.store.repair import quarantine
from tests.builders import NOW, ScriptedAcknowledger, a_key, put, worker_parts
from tests.integration.test_cli_support import answer, run
from tests.unit.test_records import extreme_entries, extreme_orders
from worker.attempt.outcomes import AccountSignal, NotNeeded, Retry, Spends
from worker.periodic.due import queue_due
from worker.periodic.recovery import Recovery

LATER = NOW + timedelta(hours=1)

Spoil = Callable[[Redis, PushKey], object]


def field(name: str | bytes, value: str | bytes) -> Spoil:
    return lambda redis, key: redis.hset(keys.record(key), name, value)


def replaced_by(write: Callable[[Redis, str], object]) -> Spoil:
    def spoil(redis: Redis, key: PushKey) -> None:
        redis.delete(keys.record(key))
        write(redis, keys.record(key))

    return spoil


SPOILT: dict[str, Spoil] = {
    "a time of the year 10000": field("order.expires_at", "253402300800.000"),
    "a time that is none": field("first_push_at", "inf"),
    "a revision that is none": field("rev", "seven"),
    "a state nobody knows": field("state", "asleep"),
    "a reason nobody knows": field("reason", "boredom"),
    "a text that is no UTF-8": field("last_error", b"\xff"),
    "a field that is no UTF-8": field(b"\xff", "x"),
    "a number of thousands of digits": field("order.order_amount", "9" * 5000),
    "no revision": lambda redis, key: redis.hdel(keys.record(key), "rev"),
    "a hash of somebody else": replaced_by(lambda redis, name: redis.hset(name, "a", "b")),
    "a string": replaced_by(lambda redis, name: redis.set(name, "rubbish")),
    "a list": replaced_by(lambda redis, name: redis.rpush(name, "a", "b")),
    "a set": replaced_by(lambda redis, name: redis.sadd(name, "a")),
}

spoilt = pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def places_of(redis: Redis, key: PushKey) -> set[str]:
    """Every sorted set and list in which a push stands, ours and RQ's."""
    found: set[str] = set()
    member = keys.job_id(key)
    for name in (str(found, "utf-8") for found in cast(list[bytes], redis.keys("*"))):
        kind = redis.type(name)
        if kind == b"zset" and redis.zscore(name, member) is not None:
            found.add(name)
        if kind == b"list" and redis.lpos(name, member) is not None:
            found.add(name)
    return found


def stands_as_a_dead_letter(ledger: Ledger, key: PushKey) -> Push:
    push = records.get(ledger.redis, key)
    assert push
    assert (push.state, push.reason, push.unreadable) == (State.DEAD, Reason.UNREADABLE, None)
    assert places_of(ledger.redis, key) - {keys.RESENDS} == {
        *indexes.places(push),
        ledger.rq.queue.failed_job_registry.key,
    }
    assert ledger.redis.exists(keys.unreadable(keys.record(key)))
    return push


@spoilt
@pytest.mark.parametrize("state", [State.QUEUED, State.RETRYING, State.DEAD])
def test_it_takes_a_push_of_an_unreadable_record(
    ledger: Ledger, spoil: Spoil, state: State
) -> None:
    key = put(ledger, state).key
    spoil(ledger.redis, key)
    content = ledger.redis.dump(keys.record(key))

    with capture_logs() as logged:
        push = ledger.accept(key, LATER)

    assert (push.state, push.unreadable) == (State.QUEUED, None)
    assert records.get(ledger.redis, key) == push
    assert ledger.rq.queue.get_job_ids() == [keys.job_id(key)]
    assert places_of(ledger.redis, key) - {keys.RESENDS} == {
        *indexes.places(push),
        keys.ready(key.account, push.lane),
        ledger.rq.queue.key,
    }
    assert ledger.redis.dump(keys.unreadable(keys.record(key))) == content
    assert ledger.redis.ttl(keys.unreadable(keys.record(key))) > 0
    assert [line["event"] for line in logged] == ["record.quarantined"]


@pytest.mark.parametrize("field", ["t", "n", "rev", "state"])
def test_it_acknowledges_a_settled_order_again_whose_record_is_unreadable(
    ledger: Ledger, field: str
) -> None:
    key = put(ledger, State.ACKNOWLEDGED).key
    ledger.redis.hset(keys.record(key), field, "rubbish")

    push = ledger.accept(key, LATER)

    assert (push.state, push.unreadable) == (State.QUEUED, None)
    assert records.get(ledger.redis, key) == push


@spoilt
def test_it_shows_an_unreadable_record_as_dead_and_keeps_what_it_held(
    ledger: Ledger, spoil: Spoil
) -> None:
    key = put(ledger, State.RETRYING).key
    spoil(ledger.redis, key)

    push = records.get(ledger.redis, key)
    before = quarantine.content(ledger.redis, key)
    assert push
    assert (push.state, push.reason) == (State.DEAD, Reason.UNREADABLE)
    assert str(push.last_error).startswith("the record cannot be read: ")
    ledger.read_many([key], LATER)

    stands_as_a_dead_letter(ledger, key)
    after = quarantine.content(ledger.redis, key)
    assert list(before.values()) == list(after.values())
    assert list(after) == [keys.unreadable(keys.record(key))]


def test_it_keeps_what_it_can_read_of_an_unreadable_record(ledger: Ledger) -> None:
    whole = put(ledger, State.ACKNOWLEDGED)
    ledger.redis.hset(keys.record(whole.key), "order.expires_at", "1e99")

    push = records.get(ledger.redis, whole.key)

    assert push
    kept = ("rev", "first_push_at", "last_push_at", "acknowledged_at", "pushes", "attempts")
    assert [getattr(push, name) for name in kept] == [getattr(whole, name) for name in kept]


@spoilt
def test_an_operator_replays_and_discards_an_unreadable_record(
    ledger: Ledger, spoil: Spoil
) -> None:
    replayed, discarded = (put(ledger, State.HELD).key for _ in range(2))
    for key in (replayed, discarded):
        spoil(ledger.redis, key)

    replay.replay(ledger, replayed, by="ops", why="mended", now=LATER)
    replay.discard(ledger, discarded, by="ops", why="forged", now=LATER)

    after = records.get_many(ledger.redis, [replayed, discarded])
    assert [push and (push.state, push.discarded, push.unreadable) for push in after] == [
        (State.QUEUED, False, None),
        (State.DEAD, True, None),
    ]
    assert places_of(ledger.redis, discarded) == set()
    assert ledger.redis.ttl(keys.record(discarded)) > 0
    assert ledger.rq.queue.get_job_ids() == [keys.job_id(replayed)]


@spoilt
def test_it_quarantines_what_a_worker_claims(ledger: Ledger, spoil: Spoil) -> None:
    worker = worker_parts(ledger.redis)
    broken, fine = put(ledger, State.QUEUED).key, put(ledger, State.QUEUED).key
    spoil(ledger.redis, broken)

    begun = worker.starter.start(worker.claims.claim(2).claims)

    assert [attempt.push.key for attempt in begun] == [fine]
    stands_as_a_dead_letter(ledger, broken)


@spoilt
def test_it_quarantines_what_is_due(ledger: Ledger, spoil: Spoil) -> None:
    broken, fine = put(ledger, State.RETRYING).key, put(ledger, State.RETRYING).key
    spoil(ledger.redis, broken)

    with capture_logs() as logged:
        assert queue_due(ledger, LATER) == 1

    stands_as_a_dead_letter(ledger, broken)
    assert ledger.rq.queue.get_job_ids() == [keys.job_id(fine)]
    assert [line["event"] for line in logged] == ["record.quarantined"]


@spoilt
def test_it_holds_up_no_recovery(ledger: Ledger, spoil: Spoil) -> None:
    orphans = [put(ledger, State.RETRYING).key for _ in range(40)]
    ledger.redis.delete(ledger.rq.queue.scheduled_job_registry.key)
    spoil(ledger.redis, orphans[7])
    recovery = Recovery(ledger)

    for _ in range(2):
        recovery.scan(NOW)

    assert sorted(ledger.rq.queue.get_job_ids()) == sorted(
        keys.job_id(key) for key in orphans if key != orphans[7]
    )
    stands_as_a_dead_letter(ledger, orphans[7])


@spoilt
def test_it_holds_up_no_abandoned_attempt(ledger: Ledger, spoil: Spoil) -> None:
    broken, fine = put(ledger, State.RUNNING).key, put(ledger, State.RUNNING).key
    spoil(ledger.redis, broken)

    assert Recovery(ledger).requeue_abandoned(LATER) == 1

    after = records.get(ledger.redis, fine)
    assert after
    assert after.crashes == 1
    push = records.get(ledger.redis, broken)
    assert push
    assert (push.state, push.unreadable) == (State.DEAD, None)


@spoilt
def test_it_lists_an_unreadable_record_among_the_dead_letters(ledger: Ledger, spoil: Spoil) -> None:
    fine, broken = put(ledger, State.DEAD).key, put(ledger, State.DEAD).key
    spoil(ledger.redis, broken)

    page = dead_letters.page(ledger.redis, dead_letters.Filter())

    shown = {push.key: push.reason for push in page.items}
    assert shown == {fine: Reason.NO_SUCH_ORDER, broken: Reason.UNREADABLE}


def test_two_that_meet_an_unreadable_record_quarantine_it_once(ledger: Ledger) -> None:
    key = put(ledger, State.RETRYING).key
    ledger.redis.hset(keys.record(key), "state", "asleep")
    push = records.get(ledger.redis, key)
    assert push
    first, second = life.quarantined(push, LATER), life.quarantined(push, LATER)
    assert first
    assert second

    assert ledger.commit_each([first, second]) == [CommitResult.MADE, CommitResult.STALE]
    assert ledger.commit_each([first]) == [CommitResult.MADE]  # its answer got lost
    stands_as_a_dead_letter(ledger, key)


def test_it_takes_no_newer_versions_facts_for_unreadable(ledger: Ledger) -> None:
    push = put(ledger, State.QUEUED)
    ledger.redis.hset(keys.record(push.key), mapping={"order.colour": "red", "colour": "blue"})

    assert records.get(ledger.redis, push.key) == push


def of_another_type(redis: Redis, name: str) -> None:
    redis.delete(name)
    redis.sadd(name, "rubbish")


OWN_KEYS: dict[str, Callable[[PushKey], str]] = {
    "timeline": keys.timeline,
    "job": lambda key: f"rq:job:{keys.job_id(key)}",
    "results": lambda key: str(Result.get_key(keys.job_id(key))),  # type: ignore[no-untyped-call]
    "executions": lambda key: ExecutionRegistry.key_template.format(keys.job_id(key)),
}
own_key = pytest.mark.parametrize("name_of", OWN_KEYS.values(), ids=OWN_KEYS)


@own_key
@pytest.mark.parametrize("state", [None, State.RETRYING, State.DEAD, State.ACKNOWLEDGED])
def test_it_acknowledges_an_order_with_a_key_of_a_wrong_type(
    ledger: Ledger, name_of: Callable[[PushKey], str], state: State | None
) -> None:
    key = put(ledger, state).key if state else a_key()
    name, worker = name_of(key), worker_parts(ledger.redis)
    scripted = ScriptedAcknowledger()

    of_another_type(ledger.redis, name)
    ledger.accept(key, LATER)
    assert ledger.rq.queue.get_job_ids() == [keys.job_id(key)]
    of_another_type(ledger.redis, name)
    begun = worker.starter.start(worker.claims.claim(1).claims)
    if not begun:  # its job could not be read, so it is dead
        assert name == name_of(key) == OWN_KEYS["job"](key)
        replay.replay(ledger, key, by="ops", why="mended", now=LATER)
        begun = worker.starter.start(worker.claims.claim(1).claims)
    of_another_type(ledger.redis, name)
    worker.settler.settle([scripted.run(attempt) for attempt in begun])

    push = records.get(ledger.redis, key)
    assert push
    assert push.state is State.ACKNOWLEDGED
    assert keys.unreadable(name) in quarantine.content(ledger.redis, key)
    records.timeline(ledger.redis, key)


def test_it_settles_the_others_when_an_index_is_of_a_wrong_type(ledger: Ledger) -> None:
    worker = worker_parts(ledger.redis)
    for _ in range(3):
        put(ledger, State.QUEUED)
    attempts = worker.starter.start(worker.claims.claim(3).claims)
    scripted = ScriptedAcknowledger()
    endings = [scripted.run(attempt) for attempt in attempts]
    of_another_type(ledger.redis, keys.index(State.NOT_NEEDED))
    endings[1] = endings[1].with_outcome(NotNeeded())

    with capture_logs() as logged:
        worker.settler.settle(endings)

    after = records.get_many(ledger.redis, [attempt.push.key for attempt in attempts])
    assert [push and push.state for push in after] == [
        State.ACKNOWLEDGED,
        State.RUNNING,
        State.ACKNOWLEDGED,
    ]
    assert [line["event"] for line in logged if line["log_level"] == "error"] == [
        "push.not_committed"
    ]
    assert worker.under_way.attempts() == []  # its lease lapses, and it is tried again


def test_it_settles_when_an_account_cannot_be_judged(ledger: Ledger) -> None:
    worker = worker_parts(ledger.redis)
    put(ledger, State.QUEUED)
    attempts = worker.starter.start(worker.claims.claim(1).claims)
    ending = ScriptedAcknowledger(
        Retry(timedelta(seconds=5), Spends.FAILURE, "HTTP 500", AccountSignal.FAILING)
    ).run(attempts[0])
    of_another_type(ledger.redis, keys.failing("default"))

    with capture_logs() as logged:
        worker.settler.settle([ending])

    push = records.get(ledger.redis, attempts[0].push.key)
    assert push
    assert push.state is State.RETRYING
    assert "account.not_judged" in [line["event"] for line in logged]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(order=extreme_orders, entry=extreme_entries)
def test_it_reads_back_through_redis_whatever_it_wrote(
    redis_client: Redis, order: OrderSnapshot, entry: Entry
) -> None:
    ledger = Ledger(redis_client)
    push = put(ledger, State.RUNNING)
    ending = life.reported(
        life.dead(push, Reason.REJECTED, NOW, str(entry.detail)), (entry,), order, NOW
    )

    assert ledger.commit_many([ending]) == [True]

    after = records.get(redis_client, push.key)
    assert after
    assert (after.state, after.unreadable) == (State.DEAD, None)
    assert [line.event for line in records.timeline(redis_client, push.key)][-1] == "dead"
    assert "unreadable" not in {line.event for line in records.timeline(redis_client, push.key)}
    assert indexes.members(redis_client, State.DEAD).count(push.key) == 1


@spoilt
def test_show_tells_what_an_unreadable_record_held(
    ledger: Ledger, redis_url: str, spoil: Spoil
) -> None:
    key = put(ledger, State.RETRYING).key
    spoil(ledger.redis, key)
    name = keys.record(key)

    before = run(redis_url, "show", key.order_id)
    ledger.read_many([key], LATER)
    after = answer(run(redis_url, "show", key.order_id, "--json"))

    assert before.exit_code == 0
    assert Reason.UNREADABLE.next_step in " ".join(before.stdout.split())
    assert name in before.stdout
    assert (after["state"], after["reason"]) == ("dead", "unreadable")
    assert list(after["kept_aside"]) == [keys.unreadable(name)]
