"""A bulk run survives the death of the worker that goes on with it, and does each letter once."""

import signal
from datetime import UTC, datetime

import pytest
from redis import Redis

from devtools.local.processes import Processes, poll
from devtools.local.sandbox_control import SandboxControl
from pushes.accounts.settings import DEFAULT_ACCOUNT
from pushes.model import PushKey, State
from pushes.operate.runs import steer
from pushes.operate.runs.steer import RunRequest
from pushes.read import overview, runs
from pushes.read.dead_letters import Filter
from pushes.read.runs import BulkRun, RunAction, RunState
from pushes.store import keys, records
from pushes.store.ledger import Ledger
from tests.builders import NOW, an_order_id, put

LETTERS = 60


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


@pytest.fixture
def letters(ledger: Ledger, sandbox: SandboxControl) -> list[PushKey]:
    found = [PushKey(DEFAULT_ACCOUNT, an_order_id()) for _ in range(LETTERS)]
    for key in found:
        sandbox.create_order(order_id=key.order_id)
        put(ledger, State.DEAD, key, NOW)
    return found


def get(ledger: Ledger, run: BulkRun) -> BulkRun:
    found = runs.get(ledger.redis, run.id)
    assert found
    return found


def test_it_ends_with_a_result_for_each_letter_whatever_dies_meanwhile(
    ledger: Ledger, letters: list[PushKey], processes: Processes
) -> None:
    workers = [processes.worker().wait_ready() for _ in range(2)]
    request = RunRequest(RunAction.REPLAY, "ops", "Klarna is back", rate_per_s=20)
    run = steer.start(ledger.redis, request, Filter(), datetime.now(UTC))

    poll(lambda: get(ledger, run).acted >= LETTERS // 4, 30)
    holder = ledger.redis.get(keys.RUNS_LOCK)
    assert isinstance(holder, bytes)
    (victim,) = [worker for worker in workers if f"-{worker.pid}-" in holder.decode()]
    victim.signal(signal.SIGKILL)
    reached = get(ledger, run).acted

    poll(lambda: get(ledger, run).state is RunState.DONE, 60)
    done = get(ledger, run)
    assert LETTERS // 4 <= reached < LETTERS
    assert (done.acted, done.skipped, done.results) == (LETTERS, 0, {State.ACKNOWLEDGED: LETTERS})
    replays = [
        sum(entry.event == "replayed" for entry in records.timeline(ledger.redis, key))
        for key in letters
    ]
    assert replays == [1] * LETTERS


def test_it_stops_within_two_seconds_when_it_is_paused_or_cancelled(
    ledger: Ledger, letters: list[PushKey], processes: Processes
) -> None:
    processes.worker().wait_ready()
    request = RunRequest(RunAction.DISCARD, "ops", "forged", rate_per_s=5)
    run = steer.start(ledger.redis, request, Filter(), datetime.now(UTC))
    poll(lambda: get(ledger, run).acted, 20)

    steer.pause(ledger.redis, run.id, by="ops", why=None, now=datetime.now(UTC))
    paused = poll(lambda: _unchanged(ledger, run), 10)
    steer.resume(ledger.redis, run.id, by="ops", why=None, now=datetime.now(UTC))
    poll(lambda: get(ledger, run).acted > paused, 10)
    steer.cancel(ledger.redis, run.id, by="ops", why="enough", now=datetime.now(UTC))
    cancelled = poll(lambda: _unchanged(ledger, run), 10)

    assert cancelled < len(letters)
    left = overview.counts(ledger, datetime.now(UTC))[State.DEAD]
    assert left == len(letters) - cancelled


def _unchanged(ledger: Ledger, run: BulkRun) -> int | None:
    """How many were done, once none was for two seconds at the run's pace of five a second."""
    before = get(ledger, run).acted
    try:
        poll(lambda: get(ledger, run).acted != before, 2)
    except TimeoutError:
        return before
    return None
