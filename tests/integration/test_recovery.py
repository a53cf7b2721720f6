from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from rq import Worker
from rq.suspension import resume, suspend
from structlog.testing import capture_logs

from pushes.model import Push, PushKey, Reason, State
from pushes.store import counters, keys, records, rq_job
from pushes.store.ledger import Ledger
from pushes.store.rq_mirror import LEASE_S
from tests.builders import NOW, a_key, claim, pop, put, worker_parts
from worker.attempt.attempt import Attempt
from worker.periodic.due import queue_due
from worker.periodic.heartbeat import Heartbeat
from worker.periodic.recovery import Recovery
from worker.wiring import Parts

JUST_BEFORE = NOW + timedelta(seconds=LEASE_S)
JUST_AFTER = NOW + timedelta(seconds=LEASE_S + 1)


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


@pytest.fixture
def worker(redis_client: Redis) -> Parts:
    return worker_parts(redis_client)


def state_of(ledger: Ledger, push: Push) -> State:
    present = records.get(ledger.redis, push.key)
    assert present
    return present.state


def test_it_waits_for_the_lease_and_not_longer(ledger: Ledger) -> None:
    push = put(ledger, State.RUNNING)
    recovery = Recovery(ledger)

    assert recovery.requeue_abandoned(JUST_BEFORE) == 0
    assert recovery.requeue_abandoned(JUST_AFTER, {str(push.execution_id)}) == 0
    assert recovery.requeue_abandoned(JUST_AFTER) == 1

    assert state_of(ledger, push) is State.RETRYING
    assert counters.totals(ledger.redis) == {"abandoned_requeued": 1}
    assert [entry.event for entry in records.timeline(ledger.redis, push.key)] == [
        "pushed",
        "crashed",
    ]


def test_it_puts_back_a_running_push_that_rqs_own_cleaning_took_out(ledger: Ledger) -> None:
    push = put(ledger, State.RUNNING)
    ledger.redis.delete(ledger.rq.queue.started_job_registry.key)

    assert Recovery(ledger).requeue_abandoned(NOW) == 1
    assert state_of(ledger, push) is State.RETRYING


def test_it_believes_no_lease_while_redis_was_away_but_that_a_process_is_gone(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = put(ledger, State.RUNNING), put(ledger, State.RUNNING)
    recovery = Recovery(ledger)

    recovery.scan(JUST_AFTER, leases_tell=False)
    left = [state_of(ledger, push) for push in (first, second)]
    monkeypatch.setattr("worker.periodic.recovery.is_gone", lambda name: name == first.worker)
    recovery.scan(JUST_AFTER, leases_tell=False)

    assert left == [State.RUNNING] * 2
    assert [state_of(ledger, push) for push in (first, second)] == [State.RETRYING] * 2


def test_it_finds_an_orphan_the_second_time_it_looks(ledger: Ledger) -> None:
    retrying, queued = put(ledger, State.RETRYING), put(ledger, State.QUEUED)
    ledger.redis.delete(ledger.rq.queue.key)
    ledger.redis.delete(ledger.rq.queue.scheduled_job_registry.key)
    recovery = Recovery(ledger)

    recovery.scan(NOW)
    assert len(ledger.rq.queue) == 0
    recovery.scan(NOW)

    assert sorted(ledger.rq.queue.get_job_ids()) == sorted(
        [keys.job_id(queued.key), keys.job_id(retrying.key)]
    )
    assert counters.totals(ledger.redis) == {"orphan_requeued": 2}


def test_it_mends_what_rqs_own_worker_made_of_a_push(ledger: Ledger) -> None:
    push = put(ledger, State.QUEUED)
    Worker(["klarna-ack"], connection=ledger.redis, serializer="json").work(
        burst=True, logging_level="CRITICAL"
    )
    recovery = Recovery(ledger)

    for _ in range(2):
        recovery.scan(NOW)

    queue = ledger.rq.queue
    assert queue.get_job_ids() == [keys.job_id(push.key)]
    assert queue.failed_job_registry.get_job_ids(cleanup=False) == []
    assert state_of(ledger, push) is State.QUEUED


def test_it_leaves_a_job_alone_that_is_just_being_started(ledger: Ledger) -> None:
    put(ledger, State.QUEUED)
    recovery = Recovery(ledger)
    pop(ledger)

    recovery.requeue_strays(NOW)

    assert len(ledger.rq.queue) == 0
    recovery.requeue_strays(NOW)
    assert len(ledger.rq.queue) == 1


@pytest.mark.parametrize("rubbish", [b"", b"\x80\x04rubbish", b"x\x9cbroken"])
def test_it_quarantines_a_job_it_cannot_read(ledger: Ledger, worker: Parts, rubbish: bytes) -> None:
    push = put(ledger, State.QUEUED)
    ledger.redis.hset(rq_job.key(push), "data", rubbish)
    pop(ledger)

    assert worker.starter.start([claim(ledger, push.key)]) == []

    dead = records.get(ledger.redis, push.key)
    assert dead
    assert (dead.state, dead.reason) == (State.DEAD, Reason.UNREADABLE)
    assert counters.totals(ledger.redis) == {"unreadable_quarantined": 1}


def test_it_never_imports_what_a_job_names(
    ledger: Ledger, worker: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = put(ledger, State.QUEUED)
    job = rq_job.new_job(push, ledger.redis)
    job.func_name = "os.system"
    job.args = ("touch /tmp/pwned",)
    job.save()
    pop(ledger)
    monkeypatch.setattr("rq.job.import_attribute", lambda name: pytest.fail(f"imported {name}"))

    assert worker.starter.start([claim(ledger, push.key)]) == []
    assert state_of(ledger, push) is State.DEAD


def test_it_makes_a_job_anew_whose_hash_is_gone(ledger: Ledger, worker: Parts) -> None:
    push = put(ledger, State.QUEUED)
    ledger.redis.delete(rq_job.key(push))
    pop(ledger)

    assert worker.starter.start([claim(ledger, push.key)]) == []

    assert ledger.rq.queue.get_job_ids() == [keys.job_id(push.key)]
    assert ledger.redis.exists(rq_job.key(push))


def test_it_takes_in_a_job_without_a_record(ledger: Ledger, worker: Parts) -> None:
    push = put(ledger, State.QUEUED)
    ledger.redis.delete(keys.record(push.key), keys.timeline(push.key))
    pop(ledger)

    assert worker.starter.start([claim(ledger, push.key)]) == []

    assert state_of(ledger, push) is State.QUEUED
    assert [entry.event for entry in records.timeline(ledger.redis, push.key)] == ["found_in_queue"]


def test_it_lets_the_lease_of_a_hung_attempt_lapse(ledger: Ledger, worker: Parts) -> None:
    push = put(ledger, State.QUEUED, now=datetime.now(UTC))
    pop(ledger)
    (attempt,) = worker.starter.start([claim(ledger, push.key)])
    registry = ledger.rq.queue.started_job_registry.key
    member = ledger.rq.execution(attempt.push).composite_key

    def lease() -> float:
        ledger.redis.zadd(registry, {member: 1})
        worker.under_way.renew_leases()
        return float(ledger.redis.zscore(registry, member) or 0)

    assert lease() > 1
    assert worker.under_way.alive() == {attempt.push.execution_id}
    age(attempt, rq_job.JOB_TIMEOUT_S + 1)
    assert lease() == 1
    assert worker.under_way.alive() == set()


def age(attempt: Attempt, seconds: float) -> None:
    object.__setattr__(attempt, "began", attempt.began - seconds)


def test_it_goes_on_with_an_attempt_whose_beginning_it_was_not_told_of(
    ledger: Ledger, worker: Parts
) -> None:
    push = put(ledger, State.QUEUED)
    pop(ledger)
    worker.starter.start([claim(ledger, push.key)])
    # as if Redis had gone away before it answered
    worker.under_way.remove(worker.under_way.attempts())

    (attempt,) = worker.starter.start([claim(ledger, push.key)])

    assert attempt.push.attempts == 1
    assert worker.under_way.alive() == {attempt.push.execution_id}


def test_it_queues_what_is_due_and_nothing_sooner(ledger: Ledger) -> None:
    push = put(ledger, State.RETRYING)
    assert push.next_attempt_at

    assert queue_due(ledger, push.next_attempt_at - timedelta(milliseconds=1)) == 0
    assert queue_due(ledger, push.next_attempt_at) == 1
    assert state_of(ledger, push) is State.QUEUED


def test_it_lets_nothing_astray_in_rqs_schedule_hold_up_a_retry(ledger: Ledger) -> None:
    push, settled = put(ledger, State.RETRYING), put(ledger, State.ACKNOWLEDGED)
    schedule = ledger.rq.queue.scheduled_job_registry.key
    named = ("no push", keys.job_id(a_key()), keys.job_id(settled.key))
    astray = [b"\xff", *(name.encode() for name in named)]
    for name in astray:
        ledger.redis.zadd(schedule, {name: 0})

    assert queue_due(ledger, NOW + timedelta(hours=1)) == 1

    assert ledger.redis.zcard(schedule) == 0
    assert state_of(ledger, push) is State.QUEUED
    assert counters.totals(ledger.redis) == {"stray_schedule_dropped": len(astray)}


def test_it_leaves_a_push_its_new_time_that_another_worker_gave_it_meanwhile(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = put(ledger, State.ACKNOWLEDGED)
    schedule = ledger.rq.queue.scheduled_job_registry.key
    job_id, new_time = keys.job_id(settled.key), (NOW + timedelta(hours=2)).timestamp()
    ledger.redis.zadd(schedule, {job_id: NOW.timestamp()})
    read = records.get_many

    def slowly(redis: Redis, wanted: Iterable[PushKey]) -> list[Push | None]:
        found = read(redis, wanted)
        ledger.redis.zadd(schedule, {job_id: new_time})
        return found

    monkeypatch.setattr(records, "get_many", slowly)
    queue_due(ledger, NOW)

    assert ledger.redis.zscore(schedule, job_id) == new_time
    assert counters.totals(ledger.redis) == {}


def test_it_shows_itself_among_rqs_workers(ledger: Ledger) -> None:
    heartbeat = Heartbeat(ledger.redis, ledger.rq)
    heartbeat.register_birth()  # type: ignore[no-untyped-call]

    heartbeat.beat(active=2, done=5)
    heartbeat.beat(active=0, done=7)

    (seen,) = Worker.all(connection=ledger.redis)
    assert (seen.name, seen.get_state(), seen.successful_job_count) == (heartbeat.name, "idle", 7)
    ledger.redis.flushall()
    heartbeat.beat(active=1, done=8)
    (seen,) = Worker.all(connection=ledger.redis)
    assert (seen.pid, seen.get_state(), seen.successful_job_count) == (heartbeat.pid, "busy", 1)


def test_it_learns_that_rq_is_suspended_and_says_so_once(ledger: Ledger) -> None:
    heartbeat = Heartbeat(ledger.redis, ledger.rq)
    heartbeat.register_birth()  # type: ignore[no-untyped-call]

    def is_suspended() -> list[bool]:
        return [beat() for _ in range(2)]

    def beat() -> bool:
        heartbeat.beat(active=0, done=0)
        return heartbeat.is_suspended

    with capture_logs() as logged:
        before = is_suspended()
        suspend(ledger.redis)
        meanwhile = is_suspended()
        resume(ledger.redis)
        after = is_suspended()

    assert (before, meanwhile, after) == ([False] * 2, [True] * 2, [False] * 2)
    assert [line["event"] for line in logged] == ["worker.suspended", "worker.suspension_over"]
    assert "rq resume" in logged[0]["action"]
