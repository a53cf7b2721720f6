"""What a failover loses of an attempt: its start, the whole record, or nothing.

A replica that becomes the master lacks the last writes. Here all keys go back to what they were a
moment ago, while the worker goes on with what it has in hand.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest
from redis import Redis
from structlog.testing import capture_logs

from pushes import life
from pushes.model import Push, PushKey, Reason, State
from pushes.store import records
from pushes.store.ledger import Ledger
from tests.builders import NOW, ReplicaState, ScriptedAcknowledger, a_key, put, worker_parts
from worker.attempt.attempt import Attempt, Ending
from worker.attempt.outcomes import (
    AccountSignal,
    Acknowledged,
    Dead,
    NotNeeded,
    Outcome,
    Retry,
    Spends,
)
from worker.wiring import Parts

RETRY = Retry(timedelta(seconds=30), Spends.FAILURE, "HTTP 500", AccountSignal.FAILING)


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def begin(worker: Parts) -> Attempt:
    (attempt,) = worker.starter.start(worker.claims.claim(1).claims)
    return attempt


def ended(attempt: Attempt, outcome: Outcome) -> Ending:
    return ScriptedAcknowledger(outcome).run(attempt)


def record(ledger: Ledger, key: PushKey) -> Push:
    push = records.get(ledger.redis, key)
    assert push
    return push


def stands_only_as(ledger: Ledger, key: PushKey, state: State) -> None:
    """RQ and the indexes say what the record says, and no attempt is left in the books."""
    rq = ledger.rq.queue
    assert record(ledger, key).state is state
    assert ledger.redis.zcard(f"klarna-ack:state:{state}") == 1
    assert rq.started_job_registry.get_job_ids(cleanup=False) == []
    waiting = [*rq.get_job_ids(), *rq.scheduled_job_registry.get_job_ids(cleanup=False)]
    assert len(waiting) == state.is_waiting
    assert ledger.redis.llen(rq.intermediate_queue_key) == 0


@pytest.fixture
def lost_start(ledger: Ledger) -> Callable[[], tuple[Parts, Attempt]]:
    """A worker that attempts an order whose start a failover has lost; its lease is renewed."""

    def lose() -> tuple[Parts, Attempt]:
        put(ledger, State.QUEUED)
        worker = worker_parts(ledger.redis, "worker-a")
        replica = ReplicaState.of(ledger.redis)
        attempt = begin(worker)
        replica.take_over(ledger.redis)
        worker.under_way.renew_leases()
        return worker, attempt

    return lose


LostStart = Callable[[], tuple[Parts, Attempt]]


@pytest.mark.parametrize("late", [Acknowledged(), NotNeeded(), RETRY, Dead(Reason.REJECTED, "400")])
def test_a_superseded_worker_does_not_overwrite_the_attempt_that_runs(
    ledger: Ledger, lost_start: LostStart, late: Outcome
) -> None:
    worker_a, attempt_a = lost_start()
    worker_b = worker_parts(ledger.redis, "worker-b")
    attempt_b = begin(worker_b)
    assert attempt_a.push.rev == attempt_b.push.rev  # so the revision alone tells nothing

    with capture_logs() as logged:
        worker_a.settler.settle([ended(attempt_a, late)])
    between = record(ledger, attempt_b.push.key)
    worker_b.settler.settle([ended(attempt_b, RETRY)])

    assert (between.state, between.execution_id) == (State.RUNNING, attempt_b.execution_id)
    assert [line["event"] for line in logged] == ["attempt.superseded"]
    assert record(ledger, attempt_b.push.key).last_error == "HTTP 500"
    stands_only_as(ledger, attempt_b.push.key, State.RETRYING)


def test_the_right_outcome_is_accepted_whoever_comes_first(
    ledger: Ledger, lost_start: LostStart
) -> None:
    worker_a, attempt_a = lost_start()
    worker_b = worker_parts(ledger.redis, "worker-b")
    attempt_b = begin(worker_b)

    worker_b.settler.settle([ended(attempt_b, Acknowledged())])
    settled = record(ledger, attempt_b.push.key)
    worker_a.settler.settle([ended(attempt_a, Dead(Reason.REJECTED, "HTTP 400"))])

    assert record(ledger, attempt_b.push.key) == settled
    stands_only_as(ledger, attempt_b.push.key, State.ACKNOWLEDGED)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Acknowledged(), State.ACKNOWLEDGED), (NotNeeded(), State.NOT_NEEDED)],
)
def test_what_klarna_settled_is_settled_while_nobody_else_runs_it(
    ledger: Ledger, lost_start: LostStart, outcome: Outcome, state: State
) -> None:
    worker, attempt = lost_start()
    assert record(ledger, attempt.push.key).state is State.QUEUED

    worker.settler.settle([ended(attempt, outcome)])

    after = record(ledger, attempt.push.key)
    assert (after.state, after.attempts) == (state, 1)
    stands_only_as(ledger, attempt.push.key, state)
    assert worker.claims.claim(1).claims == []


@pytest.mark.parametrize("outcome", [RETRY, Dead(Reason.REJECTED, "HTTP 400")])
def test_what_klarna_did_not_settle_is_attempted_again(
    ledger: Ledger, lost_start: LostStart, outcome: Outcome
) -> None:
    worker, attempt = lost_start()

    worker.settler.settle([ended(attempt, outcome)])

    stands_only_as(ledger, attempt.push.key, State.QUEUED)
    assert begin(worker).push.key == attempt.push.key


def test_an_acknowledgement_of_an_attempt_that_was_given_up_counts(ledger: Ledger) -> None:
    worker = worker_parts(ledger.redis)
    key = put(ledger, State.QUEUED).key
    attempt = begin(worker)
    ledger.advance(key, lambda push: life.crashed(push, NOW))

    worker.settler.settle([ended(attempt, Acknowledged())])

    stands_only_as(ledger, key, State.ACKNOWLEDGED)
    assert record(ledger, key).crashes == 0


def test_one_that_came_after_another_attempt_does_not(ledger: Ledger) -> None:
    worker_a, worker_b = worker_parts(ledger.redis, "a"), worker_parts(ledger.redis, "b")
    key = put(ledger, State.QUEUED).key
    attempt = begin(worker_a)
    ledger.advance(key, lambda push: life.released(push, NOW))
    worker_b.settler.settle([ended(begin(worker_b), Acknowledged())])
    ledger.accept(key, record(ledger, key).changed_at + timedelta(minutes=6))  # did not hear us
    worker_b.settler.settle([ended(begin(worker_b), RETRY)])

    worker_a.settler.settle([ended(attempt, Acknowledged())])

    stands_only_as(ledger, key, State.RETRYING)


def test_an_order_that_is_acknowledged_stays_known_when_its_record_is_lost(
    ledger: Ledger,
) -> None:
    worker, replica, key = worker_parts(ledger.redis), ReplicaState.of(ledger.redis), a_key()
    ledger.accept(key, NOW)
    attempt = begin(worker)
    replica.take_over(ledger.redis)
    worker.under_way.renew_leases()

    worker.settler.settle([ended(attempt, Acknowledged())])

    after = record(ledger, key)
    assert (after.attempts, after.first_push_at) == (1, NOW)
    assert [entry.event for entry in records.timeline(ledger.redis, key)] == [
        "restored",
        "acknowledged",
    ]
    stands_only_as(ledger, key, State.ACKNOWLEDGED)
