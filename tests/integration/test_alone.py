"""Attempts of orders whose worker died: each alone, one at a time, and what dies there counts."""

import dataclasses
import sys
import threading
from datetime import timedelta

import pytest
from redis import Redis
from structlog.testing import capture_logs

from devtools.local.processes import poll
from pushes import life
from pushes.accounts.holds import Holds
from pushes.model import HoldReason, Push, PushKey, Reason, State
from pushes.store import keys, records
from pushes.store.ledger import Ledger
from pushes.store.rq_job import JOB_TIMEOUT_S
from tests.builders import NOW, ManualClock, ScriptedAcknowledger, a_key, put, worker_parts
from worker import alone
from worker.alone import AloneProcess
from worker.attempt.attempt import Attempt, Ending
from worker.attempt.under_way import UnderWay
from worker.periodic.recovery import Recovery


class Watched(ScriptedAcknowledger):
    """Notes what was under way at the time of each attempt."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger
        self.under_way: list[list[PushKey]] = []

    def run(self, attempt: Attempt) -> Ending:
        started = self._ledger.rq.queue.started_job_registry
        names = started.get_job_ids(cleanup=False)
        self.under_way.append([keys.parse_job_id(name) for name in names])
        return super().run(attempt)


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def crashed(ledger: Ledger, key: PushKey | None = None) -> PushKey:
    push = put(ledger, State.RUNNING, key)
    assert ledger.advance(push.key, lambda one: life.crashed(one, NOW))
    return push.key


def work(
    ledger: Ledger, acknowledger: ScriptedAcknowledger, clock: ManualClock, *accounts: str
) -> int:
    parts = dataclasses.replace(worker_parts(ledger.redis, clock=clock), acknowledger=acknowledger)
    stopping = threading.Event()
    served = accounts or ("default",)
    return alone.work(parts, ledger, "worker-alone", served, stopping, clock=clock)


def present(ledger: Ledger, key: PushKey) -> Push:
    push = records.get(ledger.redis, key)
    assert push
    return push


def test_it_attempts_each_alone_and_blames_none_of_them(ledger: Ledger) -> None:
    orders = [crashed(ledger) for _ in range(5)]
    acknowledger = Watched(ledger)

    assert alone.is_due(ledger.redis, NOW)
    assert work(ledger, acknowledger, ManualClock()) == 5

    assert sorted(acknowledger.under_way, key=str) == sorted([[key] for key in orders], key=str)
    ended = [present(ledger, key) for key in orders]
    assert [(one.state, one.crashes) for one in ended] == [(State.ACKNOWLEDGED, 0)] * 5
    assert not alone.is_due(ledger.redis, NOW + timedelta(days=1))
    assert ledger.redis.exists(keys.ALONE, keys.ALONE_LOCK) == 0


def test_no_account_waits_for_all_orders_of_another(ledger: Ledger) -> None:
    for account in ("a-slow-shop", "default"):
        for _ in range(3):
            crashed(ledger, a_key(account))
    ledger.redis.zadd(keys.ALONE, {"no order of ours": 0})
    acknowledger = Watched(ledger)

    assert work(ledger, acknowledger, ManualClock(), "a-slow-shop", "default") == 6

    accounts = [key.account for (key,) in acknowledger.under_way]
    assert accounts == ["a-slow-shop", "default"] * 3


def test_it_lets_one_process_at_a_time_do_it(ledger: Ledger) -> None:
    key = crashed(ledger)
    ledger.redis.set(keys.ALONE_LOCK, "another")

    assert not alone.is_due(ledger.redis, NOW)
    assert work(ledger, Watched(ledger), ManualClock()) == 0
    assert present(ledger, key).state is State.RETRYING


def test_its_lock_outlives_it_by_a_minute_and_what_hangs_loses_it(ledger: Ledger) -> None:
    clock, redis = ManualClock(), ledger.redis
    under_way = UnderWay(ledger, clock)
    lock = redis.lock(keys.ALONE_LOCK, timeout=alone.LOCK_S, thread_local=False)
    assert lock.acquire(token="worker-alone")
    push = put(ledger, State.RUNNING)
    under_way.add([Attempt(push, clock.monotonic(), clock)])

    redis.expire(keys.ALONE_LOCK, 1)
    alone.keep(lock, under_way)
    kept_s = redis.ttl(keys.ALONE_LOCK)
    clock.sleep(JOB_TIMEOUT_S + 1)
    redis.expire(keys.ALONE_LOCK, 1)
    alone.keep(lock, under_way)

    assert alone.LOCK_S - 2 <= kept_s <= alone.LOCK_S
    assert redis.ttl(keys.ALONE_LOCK) <= 1

    redis.set(keys.ALONE_LOCK, "another", ex=1)
    under_way.remove(under_way.attempts())
    alone.keep(lock, under_way)
    assert redis.ttl(keys.ALONE_LOCK) <= 1, "another's is let alone"


def test_an_order_is_dead_after_two_deaths_alone(ledger: Ledger) -> None:
    key, clock = crashed(ledger), ManualClock()

    class Deadly(ScriptedAcknowledger):
        def run(self, attempt: Attempt) -> Ending:
            raise SystemExit(attempt.execution_id)  # as its death: nothing after it is done

    seen = []
    for _ in range(2):
        with pytest.raises(SystemExit):
            work(ledger, Deadly(), clock)
        Recovery(ledger).requeue_abandoned(clock.now() + timedelta(seconds=60))
        push = present(ledger, key)
        seen.append((push.state, push.reason, push.crashes))
        clock.sleep(300)

    assert seen == [(State.RETRYING, None, 2), (State.DEAD, Reason.CRASH_LOOP, 3)]
    assert not alone.is_due(ledger.redis, clock.now())


def test_it_leaves_orders_of_held_and_unknown_accounts_for_later(ledger: Ledger) -> None:
    held, unknown = crashed(ledger), crashed(ledger, a_key("elsewhere"))
    Holds(ledger.redis).begin("default", HoldReason.OUTAGE, "HTTP 503")

    assert work(ledger, Watched(ledger), ManualClock()) == 0

    assert [present(ledger, key).state for key in (held, unknown)] == [State.RETRYING] * 2
    assert not alone.is_due(ledger.redis, NOW)
    assert alone.is_due(ledger.redis, NOW + timedelta(seconds=61))


def test_it_forgets_what_needs_no_attempt_any_more(ledger: Ledger) -> None:
    settled = put(ledger, State.ACKNOWLEDGED)
    ledger.redis.zadd(keys.ALONE, {keys.job_id(settled.key): 0, "rubbish": 0})

    assert work(ledger, Watched(ledger), ManualClock()) == 0
    assert ledger.redis.exists(keys.ALONE) == 0


def test_it_starts_the_process_when_an_order_is_due_and_not_twice(ledger: Ledger) -> None:
    process = AloneProcess(ledger.redis, (sys.executable, "-c", "import time; time.sleep(60)"))

    assert not process.start_when_due(NOW)
    key = crashed(ledger)
    assert process.start_when_due(NOW)
    ledger.redis.zrem(keys.ALONE, keys.job_id(key))
    assert process.start_when_due(NOW)  # it still runs
    process.stop()
    assert not process.start_when_due(NOW)


def test_it_says_when_the_process_died(ledger: Ledger) -> None:
    process = AloneProcess(ledger.redis, (sys.executable, "-c", "raise SystemExit(9)"))
    key = crashed(ledger)
    assert process.start_when_due(NOW)
    ledger.redis.zrem(keys.ALONE, keys.job_id(key))

    with capture_logs() as logged:
        poll(lambda: not process.start_when_due(NOW))

    assert [(line["event"], line["exit_code"]) for line in logged] == [("alone.process_died", 9)]
