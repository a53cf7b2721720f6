"""The life of pushes as a state machine, on a real server: whatever happens in whatever order,
every accepted order is in exactly one state, and RQ's registries say the same as the ledger.
"""

import dataclasses
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis
from redis.exceptions import RedisError
from rq.utils import as_text

from pushes.accounts.holds import Holds
from pushes.accounts.serving import Serving, Share
from pushes.model import HoldReason, Lane, Push, PushKey, Reason, State
from pushes.operate import replay, write
from pushes.operate.batch import Operator
from pushes.operate.retry import retry
from pushes.operate.step import WrongStateError
from pushes.order_write import OrderAnswer, OrderWrite, WriteResult
from pushes.origin import Origin
from pushes.read import dead_letters
from pushes.store import indexes, keys, records
from pushes.store.ledger import CommitResult, Ledger
from pushes.store.server import rights
from pushes.store.server.rights import Role
from tests.builders import (
    ManualClock,
    RedisUser,
    ReplicaState,
    ScriptedAcknowledger,
    claim,
    pop,
    worker_parts,
)
from worker import alone
from worker.attempt.attempt import Attempt
from worker.attempt.outcomes import (
    AccountSignal,
    Acknowledged,
    Dead,
    Hold,
    NotNeeded,
    Outcome,
    Retry,
    Spends,
)
from worker.periodic import due
from worker.periodic.recovery import Recovery
from worker.periodic.resume import HeldBacklog
from worker.wiring import Parts

KEYS = [PushKey("default", f"0000000{digit}-1111-6222-a333-444455556666") for digit in range(4)]
OUTCOMES: list[Outcome] = [
    Acknowledged(),
    NotNeeded(),
    Retry(timedelta(seconds=30), Spends.FAILURE, "HTTP 500", AccountSignal.FAILING),
    Hold(HoldReason.CREDENTIALS, "HTTP 401"),
    *(Dead(reason, "HTTP 4xx") for reason in Reason),
]

# What somebody might delete: all of it follows from the records.
INDEXES = [
    *map(keys.index, State),
    *(keys.ready("default", lane) for lane in Lane),
    *(keys.UNACKNOWLEDGED, keys.ALONE, keys.WORK, keys.WORK_ARRIVED, keys.HELD_ACCOUNTS),
    keys.held("default"),
    *(keys.dead_letters("default", reason) for reason in Reason),
    *(f"rq:{kind}:klarna-ack" for kind in ("queue", "scheduled", "failed", "wip")),
]

# Fields of a record that somebody might write rubbish into.
FIELDS = ["rev", "state", "t", "order.expires_at"]

# So many steps go round a ledger of four orders, twice; so many rounds settle whatever waits.
_SCANS = 8
_ROUNDS = 6

# Longer than any order waits for its next attempt.
_DAY_S = 86_400


# Klarna agrees to the first, not to the second, and nobody knows of the third.
EVENTS = ("FRAUD_RISK_ACCEPTED", "FRAUD_RISK_REJECTED", "X_NEW")


class Life(RuleBasedStateMachine):
    def __init__(self, redis: Redis, user: RedisUser) -> None:
        super().__init__()
        redis.flushall()
        self.user = user
        self.restricted = Ledger(user.redis)
        self.replica = ReplicaState.of(redis), set[PushKey](), set[PushKey]()
        self.agrees = True  # until somebody else had a hand in Redis, and nobody has mended it
        self.may_be_known: set[PushKey] = set()
        self.ledger = Ledger(redis)
        self.accepted: set[PushKey] = set()
        self.discarded: set[PushKey] = set()
        self.clock = ManualClock()
        self.scripted = ScriptedAcknowledger(clock=self.clock)
        self.worker = self._worker("worker-1")
        self.recovery = Recovery(self.ledger)
        shares = {"default": Share.of("default", 1_000_000)}
        self.serving = Serving(redis, shares.values(), self.clock.now)
        self.serving.announce()
        self.backlog = HeldBacklog(self.ledger, self.serving)
        self.holds = Holds(redis, self.clock.now)

    @rule(key=st.sampled_from(KEYS), minutes=st.sampled_from([0, 6]))
    def push(self, key: PushKey, minutes: int) -> None:
        self.clock.sleep(60 * minutes)
        before = records.get(self.ledger.redis, key)

        push = self.ledger.accept(key, self.now)

        self.accepted.add(key)
        assert push.pushes == (before.pushes + 1 if before else 1)

    @rule(key=st.sampled_from(KEYS))
    def push_again_after_the_last_step(self, key: PushKey) -> None:
        """A push later than the last attempt may expedite the next one."""
        self.clock.sleep(240)
        before = records.get(self.ledger.redis, key)
        push = self.ledger.accept(key, self.now)
        self.accepted.add(key)
        if (
            before
            and before.state is State.RETRYING
            and not (before.runs_alone or before.only_notified)
        ):
            assert (push.state, push.failures) == (State.QUEUED, before.failures - 1)

    @rule(key=st.sampled_from(KEYS), event=st.sampled_from(EVENTS))
    def notify(self, key: PushKey, event: str) -> None:
        before = records.get(self.ledger.redis, key)

        push = self.ledger.notify(key, event, self.now, Origin())

        self.accepted.add(key)
        assert push.pushes == (before.pushes if before else 0)
        assert push.acknowledged_at == (before.acknowledged_at if before else None)

    @rule(lose_reply=st.booleans())
    def begin(self, lose_reply: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        if job_id := pop(self.ledger):
            self.worker.starter.start([claim(self.ledger, keys.parse_job_id(job_id))])
            if lose_reply:  # the worker asks again, not knowing that it was done
                again = self.worker.starter.start([claim(self.ledger, keys.parse_job_id(job_id))])
                assert again == [] or not self.agrees

    @rule(outcome=st.sampled_from(OUTCOMES))
    def settle(self, outcome: Outcome) -> None:
        self.scripted.next = outcome
        for attempt in self.worker.under_way.attempts()[:1]:
            self.worker.settler.settle([self.scripted.run(attempt)])

    @rule()
    def crash(self) -> None:
        """The worker dies; its leases lapse; another one looks."""
        self._lapse_leases()
        running = len(indexes.members(self.ledger.redis, State.RUNNING))
        self.worker = self._worker("worker-2")

        put_back = self.recovery.requeue_abandoned(self.now)

        assert put_back == running or not self.agrees

    @rule()
    def finish_late(self) -> None:
        """A worker that was taken for dead settles after all: what Klarna settled counts."""
        late: list[Attempt] = self.worker.under_way.attempts()
        self._lapse_leases()
        self.recovery.requeue_abandoned(self.now)
        before = records.get_many(self.ledger.redis, KEYS)
        for attempt in late:
            self.worker.settler.settle([self.scripted.run(attempt)])

        after = records.get_many(self.ledger.redis, KEYS)
        settles = isinstance(self.scripted.next, Acknowledged | NotNeeded)
        for was, push in zip(before, after, strict=True):
            is_well = push and (push.state.is_settled or push.fraud_event)
            as_before = push == was or (settles and is_well)
            assert as_before or not self.agrees

    @rule()
    def die_between_pop_and_start(self) -> None:
        pop(self.ledger)

    @rule()
    def look_and_mend(self) -> None:
        self.recovery.scan(self.now)

    @rule()
    def stop_worker(self) -> None:
        self.worker.under_way.release()
        self.worker = self._worker("worker-3")

    @rule()
    def time_passes(self) -> None:
        self.clock.sleep(_DAY_S)
        due.queue_due(self.ledger, self.now)
        self.backlog.release(self.now)

    @rule(outcome=st.sampled_from(OUTCOMES))
    def attempt_alone(self, outcome: Outcome) -> None:
        """The process that does nothing else makes an attempt of each whose worker died.

        A day later than the last: one whose account was held is looked at again after a while.
        """
        self.scripted.next = outcome
        self.clock.sleep(_DAY_S)
        alone.work(
            dataclasses.replace(self.worker, acknowledger=self.scripted),
            self.ledger,
            "worker-4",
            ["default"],
            threading.Event(),
            clock=self.clock,
        )

    @rule()
    def hold_the_account(self) -> None:
        self.holds.begin("default", HoldReason.OUTAGE, "HTTP 503")

    @rule()
    def serve_the_account_again(self) -> None:
        self.holds.end("default")

    @rule()
    def claim_all(self) -> None:
        """As a worker does: attempts of what may be attempted, the others wait with the account."""
        while taken := self.worker.claims.claim(32).claims:
            self.worker.starter.start(taken)

    @rule(key=st.sampled_from(KEYS), command=st.sampled_from(sorted(rights.COMMIT)))
    def stop_a_push_half_way(self, key: PushKey, command: str) -> None:
        """Redis forbids one command of the commit: the sender is told that it was not stored."""
        with self.user.denied(command):
            try:
                self.restricted.accept(key, self.now)
            except RedisError:
                self.agrees = False
                self.may_be_known.add(key)
            else:
                self.accepted.add(key)

    @rule(outcome=st.sampled_from(OUTCOMES), command=st.sampled_from(sorted(rights.COMMIT)))
    def stop_an_outcome_half_way(self, outcome: Outcome, command: str) -> None:
        self.scripted.next = outcome
        for attempt in self.worker.under_way.attempts()[:1]:
            ending = self.scripted.run(attempt)
            with self.user.denied(command):
                try:
                    results = self.restricted.commit_each([ending.change])
                except RedisError:
                    self.agrees = False
                else:  # STALE, when the push was counted meanwhile
                    if results == [CommitResult.MADE]:
                        self.worker.under_way.remove([attempt])

    @rule(key=st.sampled_from(KEYS), field=st.sampled_from(FIELDS))
    def spoil(self, key: PushKey, field: str) -> None:
        """Somebody writes into a record what nobody can read."""
        if self.ledger.redis.exists(keys.record(key)):
            self.ledger.redis.hset(keys.record(key), field, "rubbish")
            self.agrees = False

    @rule(name=st.sampled_from(INDEXES))
    def lose_an_index(self, name: str) -> None:
        self.ledger.redis.delete(name)
        self.agrees = False

    @rule()
    def replicate(self) -> None:
        self.replica = (
            ReplicaState.of(self.ledger.redis),
            set(self.accepted),
            set(self.discarded),
        )

    @rule()
    def fail_over(self) -> None:
        """The replica takes over, which lacks what was written since; the worker goes on."""
        replica, accepted, discarded = self.replica
        replica.take_over(self.ledger.redis)
        self.serving.announce()
        self.may_be_known |= self.accepted
        self.accepted, self.discarded = set(accepted), set(discarded)
        self.agrees = False

    @rule()
    def mend(self) -> None:
        """Whatever happened, the workers make it agree again by themselves."""
        for _ in range(_SCANS):
            self.recovery.scan(self.now)
        self.agrees = True

    def teardown(self) -> None:
        """In the end every order that was accepted is settled, or dead for an operator to see."""
        self.mend()
        self.scripted.next = Acknowledged()
        for _ in range(_ROUNDS):
            self.serve_the_account_again()
            self.time_passes()
            self.claim_all()
            for attempt in self.worker.under_way.attempts():
                self.worker.settler.settle([self.scripted.run(attempt)])
            self.attempt_alone(Acknowledged())
            self.crash()
        found = zip(KEYS, records.get_many(self.ledger.redis, KEYS), strict=True)
        ends = {key: push.state for key, push in found if push}
        assert ends.keys() >= self.accepted
        assert {state for state in ends.values() if state.is_waiting} == set()

    @rule(key=st.sampled_from(KEYS))
    def replay(self, key: PushKey) -> None:
        self._operate(key, replay.replay)
        self.discarded.discard(key)

    @rule(key=st.sampled_from(KEYS))
    def retry(self, key: PushKey) -> None:
        before = records.get(self.ledger.redis, key)
        try:
            push = retry(self.ledger, key, by="ops", why="because", now=self.now)
        except WrongStateError:
            assert before is None or before.state is not State.RETRYING
        else:
            assert before
            assert before.state is State.RETRYING
            assert push.state is (State.RETRYING if before.runs_alone else State.QUEUED)

    @rule(
        key=st.sampled_from(KEYS),
        call=st.sampled_from(["acknowledge", "cancel", "update_authorization"]),
        result=st.sampled_from(WriteResult),
    )
    def write_to_the_order(self, key: PushKey, call: str, result: WriteResult) -> None:
        """An operator does at Klarna what the worker would, or something else."""
        before = records.get(self.ledger.redis, key)
        wanted = OrderWrite(key, call)
        begun = write.begin(self.ledger, wanted, Operator("ops", call), self.now, anew=True)
        after = write.end(self.ledger, begun, OrderAnswer(result), self.now)
        if before is None:
            assert after is None
        elif not (result is WriteResult.DONE and call != "update_authorization"):
            assert after
            assert after.state is before.state

    @rule(key=st.sampled_from(KEYS))
    def discard(self, key: PushKey) -> None:
        if self._operate(key, replay.discard):
            self.discarded.add(key)

    @precondition(lambda self: self.agrees)
    @invariant()
    def every_accepted_order_is_in_exactly_one_state(self) -> None:
        found = dict(zip(KEYS, records.get_many(self.ledger.redis, KEYS), strict=True))
        known = {key for key, push in found.items() if push}
        assert self.accepted <= known <= self.accepted | self.may_be_known
        for key, push in found.items():
            places = [state for state in State if key in indexes.members(self.ledger.redis, state)]
            assert places == ([push.state] if push and key not in self.discarded else [])

    @precondition(lambda self: self.agrees)
    @invariant()
    def what_is_not_acknowledged_stands_by_its_deadline(self) -> None:
        found = zip(KEYS, records.get_many(self.ledger.redis, KEYS), strict=True)
        expected = {
            keys.job_id(key).encode(): push.deadline_at.timestamp()
            for key, push in found
            if push
            and not (push.state.is_settled or push.only_notified)
            and key not in self.discarded
        }
        raw = self.ledger.redis.zrange(keys.UNACKNOWLEDGED, 0, -1, withscores=True)
        assert dict(cast(list[tuple[bytes, float]], raw)) == expected

    @invariant()
    def nothing_is_settled_while_a_notification_is_due(self) -> None:
        for push in records.get_many(self.ledger.redis, KEYS):
            assert not (push and push.state.is_settled and (push.fraud_event or push.only_notified))

    @precondition(lambda self: self.agrees)
    @invariant()
    def only_what_is_not_acknowledged_is_awaited_again(self) -> None:
        awaited = set(self.ledger.redis.zrange(keys.RESENDS, 0, -1))
        assert awaited <= set(self.ledger.redis.zrange(keys.UNACKNOWLEDGED, 0, -1))

    @precondition(lambda self: self.agrees)
    @invariant()
    def rq_says_the_same(self) -> None:
        rq = self.ledger.rq.queue
        popped = map(as_text, self.ledger.redis.lrange(rq.intermediate_queue_key, 0, -1))
        in_rq = {
            State.QUEUED: [*rq.get_job_ids(), *popped],
            State.RUNNING: rq.started_job_registry.get_job_ids(cleanup=False),
            State.DEAD: rq.failed_job_registry.get_job_ids(cleanup=False),
        }
        for state, job_ids in in_rq.items():
            assert sorted(job_ids) == sorted(
                map(keys.job_id, indexes.members(self.ledger.redis, state))
            ), state
        waiting = rq.scheduled_job_registry.get_job_ids(cleanup=False)
        settled = rq.finished_job_registry.get_job_ids(cleanup=False)
        assert sorted(waiting) == self._members(State.RETRYING, State.HELD)
        assert sorted(settled) == self._members(State.ACKNOWLEDGED, State.NOT_NEEDED)

    @precondition(lambda self: self.agrees)
    @invariant()
    def what_waits_for_a_worker_has_one_place_in_the_order(self) -> None:
        rq = self.ledger.rq.queue
        ordered = [
            job_id for lane in Lane for job_id in self._members_of(keys.ready("default", lane))
        ]
        popped = map(as_text, self.ledger.redis.lrange(rq.intermediate_queue_key, 0, -1))
        assert sorted(set(ordered) - set(popped)) == sorted(rq.get_job_ids())
        assert len(set(ordered)) == len(ordered)

    @precondition(lambda self: self.agrees)
    @invariant()
    def what_is_held_waits_with_its_account(self) -> None:
        assert self._members_of(keys.held("default")) == self._members(State.HELD)

    @precondition(lambda self: self.agrees)
    @invariant()
    def the_dead_letters_are_the_dead(self) -> None:
        page = dead_letters.page(self.ledger.redis, dead_letters.Filter())
        assert sorted(push.key.order_id for push in page.items) == sorted(
            key.order_id for key in indexes.members(self.ledger.redis, State.DEAD)
        )
        assert dead_letters.count(self.ledger.redis, dead_letters.Filter()) == len(page.items)

    def _members(self, *states: State) -> list[str]:
        return sorted(
            keys.job_id(key)
            for state in states
            for key in indexes.members(self.ledger.redis, state)
        )

    def _members_of(self, name: str) -> list[str]:
        return sorted(map(as_text, cast(list[bytes], self.ledger.redis.zrange(name, 0, -1))))

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def _worker(self, name: str) -> Parts:
        return worker_parts(self.ledger.redis, name, clock=self.clock, redis_now=self.clock.now)

    def _lapse_leases(self) -> None:
        registry = self.ledger.rq.queue.started_job_registry
        for member in cast(list[bytes], self.ledger.redis.zrange(registry.key, 0, -1)):
            self.ledger.redis.zadd(registry.key, {member: 1})

    def _operate(self, key: PushKey, act: Callable[..., Push]) -> bool:
        push = records.get(self.ledger.redis, key)
        if push and push.state is State.DEAD and not (push.discarded and act is replay.discard):
            act(self.ledger, key, by="ops", why="because", now=self.now)
            return True
        with pytest.raises(WrongStateError):
            act(self.ledger, key, by="ops", why="because", now=self.now)
        return False


@pytest.mark.timeout(600)  # a failure is made small before it is shown
def test_it_keeps_every_push_in_exactly_one_state(redis_client: Redis, redis_url: str) -> None:
    user = RedisUser(redis_client, redis_url, Role.WORKER)
    run_state_machine_as_test(
        partial(Life, redis_client, user),  # type: ignore[arg-type]  # a factory serves as well as a class
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    user.close()
