"""A worker with a wrong clock: it takes no work, judges nobody by it, and says so."""

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from redis import Redis
from structlog.testing import capture_logs

from devtools.local.processes import poll
from pushes.model import Push, State
from pushes.policy import CLOCK_SLACK
from pushes.read import workers
from pushes.read.unreadable import Unreadable
from pushes.store import keys, records
from pushes.store.ledger import Ledger
from tests.builders import ManualClock, put, worker_parts
from worker.alone import AloneProcess
from worker.periodic.heartbeat import Heartbeat
from worker.runner import Runner

HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


@pytest.mark.parametrize("skew", [HOUR, -HOUR, CLOCK_SLACK + timedelta(seconds=1)])
def test_it_says_once_that_its_clock_is_wrong_and_that_it_is_right_again(
    ledger: Ledger, skew: timedelta
) -> None:
    clock = ManualClock(datetime.now(UTC) + skew)
    heartbeat = Heartbeat(ledger.redis, ledger.rq, clock)
    heartbeat.register_birth()  # type: ignore[no-untyped-call]  # RQ gives it no types

    with capture_logs() as logged:
        for _ in range(2):
            heartbeat.beat(active=0, done=0)
        live = workers.read(ledger.redis, Unreadable())
        noted = cast(bytes, ledger.redis.hget(heartbeat.key, keys.WORKER_SKEW_FIELD))
        wrong = heartbeat.is_skewed
        clock.time = datetime.now(UTC)
        heartbeat.beat(active=0, done=0)

    assert (wrong, heartbeat.is_skewed) == (True, False)
    assert (live.ours, live.skewed) == (1, 1)
    assert float(noted) == pytest.approx(skew.total_seconds(), abs=1)
    assert [line["event"] for line in logged] == [
        "worker.clock_skewed",
        "worker.clock_right_again",
    ]
    assert logged[0]["ahead_s"] == pytest.approx(skew.total_seconds(), abs=1)
    live = workers.read(ledger.redis, Unreadable())
    assert (live.ours, live.skewed) == (1, 0)


def test_a_clock_within_the_slack_is_no_matter(ledger: Ledger) -> None:
    clock = ManualClock(datetime.now(UTC) - CLOCK_SLACK / 2)

    heartbeat = Heartbeat(ledger.redis, ledger.rq, clock)
    heartbeat.compare_clocks()

    assert not heartbeat.is_skewed


class ShiftedClock:
    """A clock that runs, and is wrong by `skew`."""

    def __init__(self, skew: timedelta) -> None:
        self._skew = skew

    def now(self) -> datetime:
        return datetime.now(UTC) + self._skew

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def work_for_a_moment(ledger: Ledger, skew: timedelta) -> list[Push | None]:
    """Run a worker over an order whose lease has lapsed, a due and a queued one; the records."""
    now = datetime.now(UTC)
    pushes = [
        put(ledger, state, now=now - timedelta(minutes=1))
        for state in (State.RUNNING, State.RETRYING, State.QUEUED)
    ]
    heartbeat = Heartbeat(ledger.redis, ledger.rq, ShiftedClock(skew))
    alone = AloneProcess(ledger.redis, ("true",))
    runner = Runner(worker_parts(ledger.redis), heartbeat, alone, 2, lambda: None)
    keys_of = [push.key for push in pushes]

    def all_attempted() -> bool:
        lapsed, due, queued = records.get_many(ledger.redis, keys_of)
        assert lapsed
        assert due
        assert queued
        return lapsed.crashes == 1 and due.attempts > 1 and queued.attempts > 0

    def stop() -> None:
        """As a signal would, once there is no more to do; a worker that does nothing does not."""
        with suppress(TimeoutError):
            poll(all_attempted, 20 if not skew else 1.5)
        runner._stop(15, None)  # noqa: SLF001 - as a signal would

    threading.Thread(target=stop).start()
    runner.work()
    return records.get_many(ledger.redis, keys_of)


def test_a_worker_with_a_wrong_clock_takes_no_work_and_judges_nobody(ledger: Ledger) -> None:
    right = work_for_a_moment(ledger, timedelta(0))
    ledger.redis.flushall()
    wrong = work_for_a_moment(ledger, HOUR)

    assert [push.crashes for push in right if push] == [1, 0, 0]
    assert [push.attempts > 0 for push in right if push] == [True, True, True]
    assert [push.crashes for push in wrong if push] == [0, 0, 0]
    assert [push.attempts for push in wrong if push] == [1, 1, 0]
    assert [push.state for push in wrong if push] == [State.RUNNING, State.RETRYING, State.QUEUED]
