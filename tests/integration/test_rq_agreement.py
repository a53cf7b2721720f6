"""RQ's own view of the pushes agrees with the ledger's, in every state, with RQ's own tools.

Readers pass `cleanup=False`: with RQ, counting is a write otherwise. `rq info` does not pass it, so
it is shown here that it does no harm.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Worker
from rq.job import Job, JobStatus
from rq.registry import (
    BaseRegistry,
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
from rq.serializers import JSONSerializer

from devtools.local.processes import Processes, poll
from devtools.local.sandbox_control import SandboxControl
from pushes.model import Push, PushKey, Reason, State
from pushes.operate import replay
from pushes.read import overview
from pushes.store import counters, keys, records, rq_job
from pushes.store.ledger import Ledger
from tests.builders import a_key, history, put, worker_parts
from worker.periodic.recovery import Recovery

# Where RQ keeps the job of a push in each state, and what it calls that.
PLACES = {
    State.QUEUED: ("queue", JobStatus.QUEUED),
    State.RUNNING: ("started", JobStatus.STARTED),
    State.RETRYING: ("scheduled", JobStatus.SCHEDULED),
    State.HELD: ("scheduled", JobStatus.SCHEDULED),
    State.ACKNOWLEDGED: ("finished", JobStatus.FINISHED),
    State.NOT_NEEDED: ("finished", JobStatus.FINISHED),
    State.DEAD: ("failed", JobStatus.FAILED),
}
REGISTRIES: dict[str, type[BaseRegistry]] = {
    "started": StartedJobRegistry,
    "scheduled": ScheduledJobRegistry,
    "finished": FinishedJobRegistry,
    "failed": FailedJobRegistry,
    "deferred": DeferredJobRegistry,
    "canceled": CanceledJobRegistry,
}


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


def as_rq_counts(redis: Redis) -> dict[str, int]:
    """Every number that RQ has about our queue and that is not 0, read without a write."""
    queue = Queue(rq_job.QUEUE, connection=redis, serializer=JSONSerializer)
    counts = {
        name: registry(queue=queue).get_job_count(cleanup=False)
        for name, registry in REGISTRIES.items()
    }
    counts["queue"] = queue.count
    counts["popped"] = int(redis.llen(queue.intermediate_queue_key))
    return {name: count for name, count in counts.items() if count}


def as_the_ledger_counts(ledger: Ledger, now: datetime) -> dict[str, int]:
    """The same numbers as they follow from the states."""
    counts: dict[str, int] = {}
    for state, number in overview.counts(ledger, now).items():
        if number:
            place, _status = PLACES[state]
            counts[place] = counts.get(place, 0) + number
    return counts


def fetch(redis: Redis, push: Push) -> Job:
    return Job.fetch(keys.job_id(push.key), connection=redis, serializer=JSONSerializer)


def dump(redis: Redis) -> dict[Any, Any]:
    return {name: redis.dump(name) for name in redis.keys("*")}


@pytest.mark.parametrize("state", State)
def test_it_keeps_the_job_where_rq_looks_for_it(
    ledger: Ledger, redis_client: Redis, now: datetime, state: State
) -> None:
    push = put(ledger, state, now=now)

    job = fetch(redis_client, push)

    place, status = PLACES[state]
    assert as_rq_counts(redis_client) == as_the_ledger_counts(ledger, now) == {place: 1}
    assert (job.id, job.get_status(), job.origin) == (keys.job_id(push.key), status, rq_job.QUEUE)
    assert (job.func_name, list(job.args), job.kwargs) == (rq_job.JOB_FUNCTION, [], {})
    assert push.key.order_id in str(job.description)
    queue = Queue(rq_job.QUEUE, connection=redis_client, serializer=JSONSerializer)
    listed = (
        queue.get_job_ids()
        if place == "queue"
        else REGISTRIES[place](queue=queue).get_job_ids(cleanup=False)
    )
    assert [job_id.partition(":")[0] for job_id in listed] == [job.id]


def test_it_agrees_on_every_number_with_pushes_in_all_states(
    ledger: Ledger, redis_client: Redis, now: datetime
) -> None:
    waiting_last = sorted(State, key=lambda state: state is State.QUEUED)
    for number, state in enumerate(waiting_last, start=1):
        for _ in range(number):
            put(ledger, state, now=now)

    assert as_rq_counts(redis_client) == as_the_ledger_counts(ledger, now)
    assert sum(as_rq_counts(redis_client).values()) == sum(range(1, len(State) + 1))
    assert as_rq_counts(redis_client)["scheduled"] == sum(
        number
        for number, state in enumerate(waiting_last, start=1)
        if state in {State.RETRYING, State.HELD}
    )


@pytest.mark.parametrize("state", State)
def test_it_agrees_after_every_single_step(
    ledger: Ledger, redis_client: Redis, now: datetime, state: State
) -> None:
    queue = ledger.rq.queue
    for change in history(state, a_key(), now):
        if change.after.state is State.RUNNING:
            redis_client.lmove(queue.key, queue.intermediate_queue_key)

        assert ledger.commit_many([change]) == [True]

        assert as_rq_counts(redis_client) == {PLACES[change.after.state][0]: 1}


def test_it_tells_rq_when_the_next_attempt_is(
    ledger: Ledger, redis_client: Redis, now: datetime
) -> None:
    push = put(ledger, State.RETRYING, now=now)

    registry = ledger.rq.queue.scheduled_job_registry
    at = registry.get_scheduled_time(fetch(redis_client, push))

    assert push.next_attempt_at is not None
    assert abs(at - push.next_attempt_at) <= timedelta(seconds=1)  # RQ may count whole seconds


def test_it_tells_rq_what_a_settled_push_came_to(
    ledger: Ledger, redis_client: Redis, now: datetime
) -> None:
    for state in (State.ACKNOWLEDGED, State.NOT_NEEDED):
        job = fetch(redis_client, put(ledger, state, now=now))

        assert job.return_value() == str(state)
        assert job.is_finished
        assert job.ended_at is not None
        assert job.worker_name == "worker-1"


def test_it_tells_rq_why_a_push_is_dead_and_what_to_do(
    ledger: Ledger, redis_client: Redis, now: datetime
) -> None:
    push = put(ledger, State.DEAD, now=now)

    job = fetch(redis_client, push)
    result = job.latest_result()

    assert job.is_failed
    assert result is not None
    assert isinstance(push.reason, Reason)
    assert str(push.reason) in str(result.exc_string)
    assert push.reason.next_step in str(result.exc_string)
    assert redis_client.ttl(job.key) == -1  # it waits for an operator


def test_it_follows_a_replay_and_a_discard(
    ledger: Ledger, redis_client: Redis, now: datetime
) -> None:
    replayed, discarded = (put(ledger, State.DEAD, now=now) for _ in range(2))
    assert as_rq_counts(redis_client) == {"failed": 2}

    replay.replay(ledger, replayed.key, by="a test", why="mended", now=now)
    replay.discard(ledger, discarded.key, by="a test", why="a test order", now=now)

    assert as_rq_counts(redis_client) == {"queue": 1} == as_the_ledger_counts(ledger, now)
    assert fetch(redis_client, replayed).get_status() == JobStatus.QUEUED
    assert not Job.exists(keys.job_id(discarded.key), connection=redis_client)


def test_it_counts_repeated_pushes_without_another_job(
    ledger: Ledger, redis_client: Redis, now: datetime
) -> None:
    key = a_key()

    for _ in range(5):
        ledger.accept(key, now)

    assert as_rq_counts(redis_client) == {"queue": 1}


def statuses(redis: Redis, job_ids: list[str]) -> set[JobStatus]:
    jobs = Job.fetch_many(job_ids, connection=redis, serializer=JSONSerializer)
    return {job.get_status(refresh=False) for job in jobs if job}


def test_what_waits_beyond_a_thousand_is_deferred_and_taken_as_quickly(
    ledger: Ledger, redis_client: Redis, now: datetime
) -> None:
    """RQ's list is searched job by job: no claim is to take one out of the middle of a long one."""
    pushed = [ledger.accept(a_key(), now - timedelta(seconds=n)).key for n in range(1100)]
    registry = ledger.rq.queue.deferred_job_registry
    listed, deferred = ledger.rq.queue.get_job_ids(), registry.get_job_ids(cleanup=False)
    before = as_rq_counts(redis_client)
    by_status = statuses(redis_client, listed), statuses(redis_client, deferred)

    claims = worker_parts(redis_client).claims
    taken = [claim.key for _ in range(3) for claim in claims.claim(32).claims]

    assert before == {"queue": 1000, "deferred": 100}
    assert by_status == ({JobStatus.QUEUED}, {JobStatus.DEFERRED})
    assert taken == list(reversed(pushed))[:96]  # the earliest deadlines: the last ones pushed
    assert as_rq_counts(redis_client) == {"queue": 1000, "deferred": 4, "popped": 96}
    assert statuses(redis_client, ledger.rq.queue.get_job_ids()) == {JobStatus.QUEUED}
    while claims.claim(32).claims:
        pass
    assert as_rq_counts(redis_client) == {"popped": 1100}


def test_recovery_finds_nothing_amiss_with_what_is_deferred(
    ledger: Ledger, redis_client: Redis, now: datetime
) -> None:
    for _ in range(1010):
        ledger.accept(a_key(), now)
    recovery = Recovery(ledger)

    for _ in range(2):
        recovery.scan(now)
    quiet = counters.totals(redis_client)
    redis_client.delete(ledger.rq.queue.deferred_job_registry.key)
    for _ in range(7):  # each looks at 500 of what waits, and believes at the next look
        recovery.scan(now)

    assert quiet == {}
    assert counters.totals(redis_client) == {"orphan_requeued": 10}
    assert as_rq_counts(redis_client) == {"queue": 1000, "deferred": 10}


RunRq = Callable[..., str]


@pytest.fixture
def rq(redis_url: str) -> RunRq:
    """RQ's own command, as an operator runs it."""

    def run(command: str, *arguments: str) -> str:
        program = str(Path(sys.executable).with_name("rq"))
        done = subprocess.run(
            [program, command, "--url", redis_url, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    return run


def info_of(output: str) -> dict[str, int]:
    """What `rq info --raw` says about our queue."""
    found = re.search(
        r"^queue klarna-ack (\d+), (\d+) executing, (\d+) finished, (\d+) failed$",
        output,
        re.MULTILINE,
    )
    assert found, output
    numbers = map(int, found.groups())
    return dict(zip(("queue", "started", "finished", "failed"), numbers, strict=True))


def test_rq_info_shows_the_ledgers_numbers_and_changes_nothing(
    ledger: Ledger, redis_client: Redis, rq: RunRq
) -> None:
    now = datetime.now(UTC)
    for number, state in enumerate(sorted(State, key=lambda state: state is State.QUEUED), 1):
        for _ in range(number):
            put(ledger, state, now=now)
    before = dump(redis_client)

    shown = info_of(rq("info", "--raw"))

    expected = as_the_ledger_counts(ledger, now)
    assert shown == {name: expected[name] for name in shown}
    assert dump(redis_client) == before


def test_rq_info_and_rq_empty_cost_no_push(
    ledger: Ledger, redis_client: Redis, sandbox: SandboxControl, processes: Processes, rq: RunRq
) -> None:
    a_minute_ago = datetime.now(UTC) - timedelta(minutes=1)
    abandoned = put(ledger, State.RUNNING, now=a_minute_ago)  # its lease has lapsed
    waiting = put(ledger, State.QUEUED, now=a_minute_ago)
    for push in (abandoned, waiting):
        sandbox.create_order(order_id=push.key.order_id)

    shown = info_of(rq("info", "--raw"))  # RQ cleans up first, and puts the job back itself
    rq("empty", rq_job.QUEUE)
    left = as_rq_counts(redis_client)
    processes.worker()
    settled = [wait_for(ledger, push.key, State.ACKNOWLEDGED) for push in (abandoned, waiting)]

    assert shown == {"queue": 2, "started": 0, "finished": 0, "failed": 0}
    assert left == {}
    events = [
        [entry.event for entry in records.timeline(redis_client, push.key)] for push in settled
    ]
    assert ["crashed" in one for one in events] == [True, False]
    assert [len(sandbox.requests(push.key.order_id)) for push in settled] == [2, 2]
    assert as_rq_counts(redis_client) == {"finished": 2}
    assert as_the_ledger_counts(ledger, datetime.now(UTC)) == {"finished": 2}


def test_rq_requeue_gives_a_dead_push_another_life(
    ledger: Ledger, redis_client: Redis, sandbox: SandboxControl, processes: Processes, rq: RunRq
) -> None:
    dead = [put(ledger, State.DEAD, now=datetime.now(UTC)) for _ in range(2)]
    for push in dead:
        sandbox.create_order(order_id=push.key.order_id)

    rq("requeue", "--queue", rq_job.QUEUE, "--serializer", "json", "--all")
    processes.worker()
    lives = [wait_for(ledger, push.key, State.ACKNOWLEDGED) for push in dead]

    assert [(push.attempts, push.reason) for push in lives] == [(2, None), (2, None)]
    assert as_rq_counts(redis_client) == {"finished": 2}
    assert as_the_ledger_counts(ledger, datetime.now(UTC)) == {"finished": 2}


def wait_for(ledger: Ledger, key: PushKey, state: State) -> Push:
    def there() -> Push | None:
        push = records.get(ledger.redis, key)
        return push if push is not None and push.state is state else None

    return poll(there, 45, f"{key.order_id} is not {state}")


def our_workers(redis: Redis) -> list[Any]:
    return list(Worker.all(connection=redis, serializer=JSONSerializer))


def test_it_shows_rq_a_worker_with_its_executions(
    ledger: Ledger, redis_client: Redis, sandbox: SandboxControl, processes: Processes, rq: RunRq
) -> None:
    process = processes.worker(RETRY_DELAYS_S="0.5,0.5,0.5").wait_ready()
    pushed = [PushKey("default", order_id) for order_id in sandbox.create_orders(count=3)]
    # Ends with the limit of a whole call, 15 s; without a byte it would end after 10.
    sandbox.add_fault("drip", operation="get_order", times=3, params={"byte_interval_s": 1})

    for key in pushed:
        ledger.accept(key, datetime.now(UTC))
    running = [wait_for(ledger, key, State.RUNNING) for key in pushed]
    # The worker tells RQ what it does every five seconds.
    poll(lambda: [worker.get_state() for worker in our_workers(redis_client)] == ["busy"], 20)
    (worker,) = our_workers(redis_client)
    executions = worker.get_current_executions(refresh=True)

    assert (worker.pid, worker.queue_names()) == (process.pid, [rq_job.QUEUE])
    assert {push.worker for push in running} == {worker.name}
    assert {execution.id for execution in executions} == {push.execution_id for push in running}
    assert {execution.job_id for execution in executions} == {keys.job_id(key) for key in pushed}
    assert worker.current_execution_count == 3
    assert datetime.now(UTC) - as_utc(worker.last_heartbeat) < timedelta(seconds=15)
    assert info_of(rq("info", "--raw"))["started"] == 3
    assert re.search(
        rf"^worker {worker.name} .* busy klarna-ack\.", rq("info", "--raw"), re.MULTILINE
    )
    for push in running:
        job = fetch(redis_client, push)
        assert (job.worker_name, job.get_status()) == (worker.name, JobStatus.STARTED)

    sandbox.reset()  # lets go of what is held; then Klarna knows nothing of the orders
    for push in running:
        sandbox.create_order(order_id=push.key.order_id)
    for push in running:
        wait_for(ledger, push.key, State.ACKNOWLEDGED)
    poll(lambda: our_workers(redis_client)[0].get_state() == "idle", 20)
    (worker,) = our_workers(redis_client)
    assert worker.get_current_executions(refresh=True) == []
    assert worker.successful_job_count >= 3
    process.terminate()
    assert our_workers(redis_client) == []
    assert as_rq_counts(redis_client) == {"finished": 3}
    assert as_the_ledger_counts(ledger, datetime.now(UTC)) == {"finished": 3}


def as_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
