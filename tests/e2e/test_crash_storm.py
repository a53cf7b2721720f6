"""Whoever kills the workers, no innocent order dies of it, and one that kills them does."""

import random
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis

from devtools.local.processes import Processes, Worker, poll
from devtools.local.sandbox_control import SandboxControl
from pushes.accounts.settings import DEFAULT_ACCOUNT
from pushes.model import PushKey, Reason, State
from pushes.operate import replay
from pushes.store import records
from pushes.store.ledger import Ledger
from tests.builders import NOW, an_order_id

# Python runs it before anything else: every process that asks Klarna for the order kills itself.
_POISON = """
import os, signal
from klarna import KlarnaClient

def get_order(self, order_id, *, observe, _get=KlarnaClient.get_order):
    if order_id == os.environ["POISON"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return _get(self, order_id, observe=observe)

KlarnaClient.get_order = get_order
"""

STORM_KILLS = 8
ORDERS = 60


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def settled(ledger: Ledger, keys: list[PushKey]) -> bool:
    states = {push.state for push in records.get_many(ledger.redis, keys) if push}
    return not any(state.is_waiting for state in states)


def accept(ledger: Ledger, sandbox: SandboxControl, count: int) -> list[PushKey]:
    keys = [PushKey(DEFAULT_ACCOUNT, an_order_id()) for _ in range(count)]
    for key in keys:
        sandbox.create_order(order_id=key.order_id)
        ledger.accept(key, NOW)
    return keys


@pytest.mark.timeout(240)
def test_an_order_that_kills_what_runs_it_is_dead_within_three_deaths_and_no_neighbour_with_it(
    ledger: Ledger, sandbox: SandboxControl, processes: Processes, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_POISON)
    neighbours = accept(ledger, sandbox, ORDERS)
    (poison,) = accept(ledger, sandbox, 1)
    env = {"PYTHONPATH": str(tmp_path), "POISON": poison.order_id, "WORKER_CONCURRENCY": "128"}
    deaths = 0
    worker = processes.worker(**env)

    def is_over() -> bool:
        nonlocal worker, deaths
        if worker.exit_code is not None:  # as its supervisor would
            deaths += 1
            worker = processes.worker(**env)
        return settled(ledger, [poison, *neighbours])

    poll(is_over, 200)

    dead = records.get(ledger.redis, poison)
    assert dead
    assert (dead.state, dead.reason, dead.crashes) == (State.DEAD, Reason.CRASH_LOOP, 3)
    assert deaths == 1  # the two others were of the process that did nothing else
    ends = {push.state for push in records.get_many(ledger.redis, neighbours) if push}
    assert ends == {State.ACKNOWLEDGED}

    worker.terminate()  # and a new version is deployed, which this order does no harm
    processes.worker()
    replay.replay(ledger, poison, by="a test", why="mended", now=datetime.now(UTC))
    poll(lambda: settled(ledger, [poison]), 30)
    revived = records.get(ledger.redis, poison)
    assert revived
    assert (revived.state, revived.crashes) == (State.ACKNOWLEDGED, 0)


@pytest.mark.timeout(240)
def test_no_order_is_dead_by_a_storm_of_kills(
    ledger: Ledger, sandbox: SandboxControl, processes: Processes
) -> None:
    sandbox.settings(latency_ms=100)
    orders = accept(ledger, sandbox, ORDERS)
    chance = random.Random(7)  # noqa: S311 - a course that can be repeated
    workers: list[Worker] = [processes.worker().wait_ready() for _ in range(2)]
    for _ in range(STORM_KILLS):
        time.sleep(chance.uniform(0.1, 0.7))
        victim = chance.randrange(2)
        workers[victim].kill9()
        workers[victim] = processes.worker().wait_ready()

    poll(lambda: settled(ledger, orders), 200)

    ends = {push.state for push in records.get_many(ledger.redis, orders) if push}
    assert ends == {State.ACKNOWLEDGED}
