"""The promise, held against crashes: an accepted push is acknowledged, or visible as dead.

Never lost silently, never acknowledged unverified; and whoever comes back goes on by itself.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self

import pytest
import requests
from redis import Redis

from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import Process, Processes, Web, poll
from devtools.local.sandbox_control import SandboxControl
from pushes.model import Push, PushKey, State
from pushes.read import overview
from pushes.store import keys, records
from pushes.store.ledger import Ledger
from pushes.store.rq_mirror import LEASE_S
from tests.e2e.test_behaviour import (
    acknowledges,
    assert_verified_before_acknowledged,
    spelled,
)

# Klarna's push client has been seen giving up after 5 s; an answer has to be there well before.
SOON_S = 2.0

# A supervisor waits 30 s before it kills, and some wait less.
STOP_S = 20.0

# A lease, two looks of the recovery, and a machine that has other things to do.
RECOVERY_S = LEASE_S + 2 * 5 + 30.0

# The hold of a fault that is to outlast the test; a reset of the sandbox lets go of it.
FOR_LONG = {"hold_s": 120}


@dataclass(frozen=True)
class Scene:
    """What a test looks at: the ledger in Redis, and Klarna's side."""

    ledger: Ledger
    sandbox: SandboxControl

    def record(self, order_id: str) -> Push:
        push = records.get(self.ledger.redis, PushKey("default", order_id))
        assert push is not None, f"{order_id} is lost"
        return push

    def wait_until(self, order_ids: list[str], *states: State, within_s: float = 20.0) -> None:
        """Until every one of these pushes is in one of these states."""
        waiting = set(order_ids)

        def all_there() -> bool:
            waiting.difference_update(
                order_id for order_id in list(waiting) if self.record(order_id).state in states
            )
            return not waiting

        try:
            poll(all_there, within_s, f"not {states} within {within_s} s")
        except TimeoutError as error:
            for order_id in waiting:
                error.add_note(f"{self.record(order_id)}\n{self.calls(order_id)}")
            raise

    def wait_for_calls(self, order_id: str, count: int, within_s: float = 20.0) -> None:
        poll(lambda: len(self.sandbox.requests(order_id)) >= count, within_s)

    def calls(self, order_id: str) -> str:
        return ", ".join(spelled(request) for request in self.sandbox.requests(order_id))

    def keys_used(self, order_id: str) -> set[str | None]:
        seen = acknowledges(self.sandbox.requests(order_id))
        return {request["idempotency_key"] for request in seen}

    def effects(self, order_id: str) -> int:
        return self.sandbox.order(order_id)["acknowledge_effects"]

    def events(self, order_id: str) -> list[str]:
        key = PushKey("default", order_id)
        return [entry.event for entry in records.timeline(self.ledger.redis, key)]

    def counts(self) -> dict[str, int]:
        """Of the states that are not empty."""
        counts = overview.counts(self.ledger, datetime.now(UTC))
        return {str(state): number for state, number in counts.items() if number}


@pytest.fixture
def world(redis_client: Redis, sandbox: SandboxControl) -> Iterator[Scene]:
    """The view on both sides; at the end, whatever happened: nothing acknowledged unverified."""
    yield Scene(Ledger(redis_client), sandbox)
    assert_verified_before_acknowledged(sandbox.requests())


def push(web: Web, order_id: str) -> requests.Response:
    return requests.post(f"{web.url}/push", params={"klarna_order_id": order_id}, timeout=10)


def push_all(web: Web, order_ids: list[str]) -> None:
    assert {push(web, order_id).status_code for order_id in order_ids} == {200}


def took_s(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def say(what: str, seconds: float) -> None:
    """Leave a measured number in the test's output: `pytest -rP` shows it."""
    sys.stdout.write(f"measured: {what}: {seconds:.2f} s\n")


def test_twenty_pushes_at_once_make_one_get_and_one_acknowledge(
    world: Scene, processes: Processes
) -> None:
    web = processes.web().wait_ready()
    processes.worker().wait_ready()
    world.sandbox.settings(latency_ms=50)
    order_id = world.sandbox.create_order()
    start = threading.Barrier(20)

    def push_together(_number: int) -> int:
        start.wait(20)
        return push(web, order_id).status_code

    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(push_together, range(20)))
    world.wait_until([order_id], State.ACKNOWLEDGED)

    assert statuses == [200] * 20
    assert world.calls(order_id) == "GET 200, ACK 204"
    assert (world.record(order_id).pushes, world.record(order_id).attempts) == (20, 1)
    assert world.counts() == {"acknowledged": 1}


def test_a_second_worker_goes_on_wherever_the_first_was_killed(
    world: Scene, processes: Processes
) -> None:
    web = processes.web().wait_ready()
    first = processes.worker().wait_ready()
    in_get, before_effect, after_effect = order_ids = world.sandbox.create_orders(count=3)
    for order_id, fault, operation in (
        (in_get, "timeout_before_effect", "get_order"),
        (before_effect, "timeout_before_effect", "acknowledge"),
        (after_effect, "timeout_after_effect", "acknowledge"),
    ):
        world.sandbox.add_fault(
            fault, operation=operation, order_id=order_id, times=1, params=FOR_LONG
        )
    push_all(web, order_ids)
    world.wait_for_calls(in_get, 1)
    world.wait_for_calls(before_effect, 2)
    world.wait_for_calls(after_effect, 2)

    first.kill9()
    second = processes.worker()
    say(
        "kill -9 of a worker until another has acknowledged",
        took_s(lambda: world.wait_until(order_ids, State.ACKNOWLEDGED, within_s=RECOVERY_S)),
    )

    assert second.exit_code is None
    assert world.calls(in_get) == "GET -, GET 200, ACK 204"
    assert world.calls(before_effect) == "GET 200, ACK -, GET 200, ACK 204"
    assert world.calls(after_effect) == "GET 200, ACK -, GET 200, ACK 204"
    assert [world.effects(order_id) for order_id in order_ids] == [1, 1, 1]
    assert [len(world.keys_used(order_id)) for order_id in order_ids] == [1, 1, 1]
    assert [world.events(order_id).count("crashed") for order_id in order_ids] == [1, 1, 1]
    assert world.counts() == {"acknowledged": 3}


def test_a_push_goes_to_another_worker_when_the_lease_of_a_frozen_one_lapses(
    world: Scene, processes: Processes
) -> None:
    web = processes.web().wait_ready()
    frozen = processes.worker().wait_ready()
    order_id = world.sandbox.create_order()
    world.sandbox.add_fault(
        "timeout_after_effect", operation="acknowledge", times=1, params={"hold_s": 1}
    )
    push_all(web, [order_id])
    world.wait_for_calls(order_id, 2)
    frozen.signal(signal.SIGSTOP)
    other = processes.worker().wait_ready()
    holder = world.record(order_id).worker

    waited_s = took_s(lambda: world.wait_until([order_id], State.ACKNOWLEDGED, within_s=RECOVERY_S))
    settled = world.record(order_id)
    frozen.signal(signal.SIGCONT)
    poll(lambda: "attempt.superseded" in frozen.log, 20)

    say("a frozen worker's lease until another has acknowledged", waited_s)
    assert world.record(order_id) == settled
    assert holder not in (None, settled.worker)
    assert (settled.attempts, settled.crashes) == (2, 0)
    assert "crashed" in world.events(order_id)
    assert world.calls(order_id) == "GET 200, ACK -, GET 200, ACK 204"
    assert world.effects(order_id) == 1
    assert len(world.keys_used(order_id)) == 1
    assert (frozen.exit_code, other.exit_code) == (None, None)


def test_what_was_popped_removed_or_put_there_by_strangers_costs_no_push(
    world: Scene, processes: Processes
) -> None:
    queue = world.ledger.rq.queue
    redis = world.ledger.redis
    web = processes.web().wait_ready()
    popped, removed, waiting = order_ids = world.sandbox.create_orders(count=3)
    push_all(web, order_ids)
    # A worker died between taking the job and starting it.
    redis.lmove(queue.key, queue.intermediate_queue_key)
    # Somebody emptied the queue of this job with RQ's own tools.
    redis.lrem(queue.key, 1, keys.job_id(PushKey("default", removed)))
    for stranger in (b"no push", "\N{SNOWMAN}".encode(), b"default_not-an-id", b"\xff\xfe"):
        redis.rpush(queue.key, stranger * 100)
        redis.rpush(queue.intermediate_queue_key, stranger)

    worker = processes.worker().wait_ready()
    world.wait_until([waiting], State.ACKNOWLEDGED)
    world.wait_until([popped, removed], State.ACKNOWLEDGED, within_s=RECOVERY_S)

    assert worker.exit_code is None
    assert [world.calls(order_id) for order_id in order_ids] == ["GET 200, ACK 204"] * 3
    assert world.counts() == {"acknowledged": 3}
    poll(lambda: not redis.exists(queue.key, queue.intermediate_queue_key), RECOVERY_S)


def test_both_processes_work_on_after_somebody_emptied_redis(
    world: Scene, processes: Processes
) -> None:
    web = processes.web().wait_ready()
    worker = processes.worker().wait_ready()
    order_ids = world.sandbox.create_orders(count=2)
    push_all(web, order_ids[:1])
    world.wait_until(order_ids[:1], State.ACKNOWLEDGED)

    world.ledger.redis.flushall()
    world.ledger.redis.script_flush()
    push_all(web, order_ids[1:])
    world.wait_until(order_ids[1:], State.ACKNOWLEDGED)

    poll(lambda: world.ledger.redis.scard("rq:workers") == 1, 20)  # it is seen again, too
    assert (web.exit_code, worker.exit_code) == (None, None)
    assert world.counts() == {"acknowledged": 1}


def test_a_worker_told_to_stop_settles_what_it_has_and_leaves_the_rest(
    world: Scene, processes: Processes
) -> None:
    web = processes.web().wait_ready()
    world.sandbox.settings(latency_ms=500)
    order_ids = world.sandbox.create_orders(count=80)
    push_all(web, order_ids)
    worker = processes.worker(WORKER_CONCURRENCY="8").wait_ready()
    poll(lambda: len(world.sandbox.requests()) >= 12)  # some have had their GET, none is done

    stopped_s = took_s(worker.terminate)
    left = world.counts()

    say("SIGTERM with 8 attempts under way until the exit", stopped_s)
    assert worker.exit_code == 0
    assert stopped_s < STOP_S
    assert left["queued"] + left["acknowledged"] == 80
    assert 8 <= left["acknowledged"] < 80
    assert not any("crashed" in world.events(order_id) for order_id in order_ids)

    world.sandbox.settings(latency_ms=0)
    processes.worker()
    world.wait_until(order_ids, State.ACKNOWLEDGED)
    assert world.counts() == {"acknowledged": 80}
    assert {world.calls(order_id) for order_id in order_ids} == {"GET 200, ACK 204"}


def test_a_worker_told_twice_to_stop_puts_back_what_it_has_at_once(
    world: Scene, processes: Processes
) -> None:
    web = processes.web().wait_ready()
    worker = processes.worker().wait_ready()
    in_get, after_effect = order_ids = world.sandbox.create_orders(count=2)
    for order_id, fault, operation in (
        (in_get, "timeout_before_effect", "get_order"),
        (after_effect, "timeout_after_effect", "acknowledge"),
    ):
        world.sandbox.add_fault(
            fault, operation=operation, order_id=order_id, times=1, params=FOR_LONG
        )
    push_all(web, order_ids)
    world.wait_for_calls(in_get, 1)
    world.wait_for_calls(after_effect, 2)

    worker.signal(signal.SIGTERM)

    def told_again() -> bool:  # again and again: of two signals at once a process sees one
        worker.signal(signal.SIGTERM)
        return worker.exit_code is not None

    stopped_s = took_s(lambda: poll(told_again, STOP_S))
    left = world.counts()

    say("a second SIGTERM until the exit", stopped_s)
    assert worker.exit_code == 0
    assert stopped_s < 10
    assert left == {"queued": 2}
    assert [world.record(order_id).attempts for order_id in order_ids] == [0, 0]

    processes.worker()
    world.wait_until(order_ids, State.ACKNOWLEDGED)
    assert not any("crashed" in world.events(order_id) for order_id in order_ids)
    assert world.effects(after_effect) == 1
    assert len(world.keys_used(after_effect)) == 1


def test_what_is_begun_ahead_is_put_back_unmade(world: Scene, processes: Processes) -> None:
    web = processes.web().wait_ready()
    order_ids = world.sandbox.create_orders(count=12)
    for order_id in order_ids:
        world.sandbox.add_fault(
            "timeout_before_effect", operation="get_order", order_id=order_id, params=FOR_LONG
        )
    push_all(web, order_ids)
    worker = processes.worker(WORKER_CONCURRENCY="8").wait_ready()

    # A quarter more than there are threads; and those that have one call Klarna.
    poll(lambda: world.counts() == {"queued": 2, "running": 10})
    poll(lambda: len(world.sandbox.requests()) == 8)

    def told_again() -> bool:
        worker.signal(signal.SIGTERM)
        return worker.exit_code is not None

    poll(told_again, STOP_S)
    assert (worker.exit_code, world.counts()) == (0, {"queued": 12})
    assert len(world.sandbox.requests()) == 8

    world.sandbox.clear_faults()
    processes.worker()
    world.wait_until(order_ids, State.ACKNOWLEDGED)
    assert {world.effects(order_id) for order_id in order_ids} == {1}


def freeze(server: EmbeddedServer) -> None:
    server.freeze()


def kill(server: EmbeddedServer) -> None:
    server.kill()


def come_back(server: EmbeddedServer) -> None:
    server.thaw()
    if not server.is_running:
        server.restart()


@pytest.mark.parametrize("take_away", [freeze, kill])
def test_both_processes_ride_out_a_redis_that_is_away(
    world: Scene,
    processes: Processes,
    valkey: EmbeddedServer,
    take_away: Callable[[EmbeddedServer], None],
) -> None:
    web = processes.web().wait_ready()
    worker = processes.worker().wait_ready()
    order_ids = world.sandbox.create_orders(count=8)
    push_all(web, order_ids[:2])
    world.wait_until(order_ids[:2], State.ACKNOWLEDGED)

    take_away(valkey)
    answers = [push(web, order_id) for order_id in order_ids[2:6]]
    ready = requests.get(f"{web.url}/readyz", timeout=10)
    alive = requests.get(f"{web.url}/healthz", timeout=10)
    poll(lambda: "worker.redis_away" in worker.log, 30)  # the worker has noticed, too
    come_back(valkey)

    slowest_s = max(answer.elapsed.total_seconds() for answer in [*answers, ready])
    say(f"the slowest answer of five with Redis away ({take_away.__name__})", slowest_s)
    assert slowest_s < SOON_S
    for answer in answers:
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == 503
    assert (ready.status_code, alive.status_code) == (503, 200)

    say("until the web process is ready again", took_s(lambda: poll(web.is_ready, 20)))
    push_all(web, order_ids[2:])
    say(
        "until the worker has acknowledged six pushes",
        took_s(lambda: world.wait_until(order_ids, State.ACKNOWLEDGED, within_s=RECOVERY_S)),
    )
    assert (web.exit_code, worker.exit_code) == (None, None)
    assert {world.calls(order_id) for order_id in order_ids} == {"GET 200, ACK 204"}
    assert world.counts() == {"acknowledged": 8}


def test_an_outcome_waits_for_redis_and_is_not_lost(
    world: Scene, processes: Processes, valkey: EmbeddedServer
) -> None:
    web = processes.web().wait_ready()
    worker = processes.worker().wait_ready()
    order_id = world.sandbox.create_order()
    world.sandbox.settings(latency_ms=1000)
    push_all(web, [order_id])
    poll(lambda: world.record(order_id).state is State.RUNNING)

    valkey.kill()
    poll(lambda: world.effects(order_id), 20)
    poll(lambda: "worker.redis_away" in worker.log, 30)
    valkey.restart()
    world.wait_until([order_id], State.ACKNOWLEDGED)

    assert world.calls(order_id) == "GET 200, ACK 204"
    assert (world.record(order_id).attempts, "crashed" in world.events(order_id)) == (1, False)
    assert (web.exit_code, worker.exit_code) == (None, None)


def test_a_worker_with_an_outcome_to_write_stops_in_time_without_redis(
    world: Scene, processes: Processes, valkey: EmbeddedServer
) -> None:
    web = processes.web().wait_ready()
    worker = processes.worker().wait_ready()
    order_id = world.sandbox.create_order()
    world.sandbox.settings(latency_ms=1000)
    push_all(web, [order_id])
    poll(lambda: world.record(order_id).state is State.RUNNING)
    valkey.kill()
    poll(lambda: world.effects(order_id), 20)

    worker.signal(signal.SIGTERM)
    stopped_s = took_s(lambda: poll(lambda: worker.exit_code is not None, STOP_S + 5))

    say("SIGTERM with an outcome that Redis does not take until the exit", stopped_s)
    assert worker.exit_code == 0
    assert stopped_s < STOP_S
    valkey.restart()
    processes.worker()
    world.wait_until([order_id], State.ACKNOWLEDGED, within_s=RECOVERY_S)
    assert world.effects(order_id) == 1
    assert len(world.keys_used(order_id)) == 1
    # It says that Redis is away once a second or so, and does not spin.
    lines = worker.log.count("worker.redis_away")
    assert lines < 3 * STOP_S, f"{lines} times in {stopped_s:.0f} s"


def test_an_idle_worker_stops_in_time_while_redis_is_frozen(
    world: Scene, processes: Processes, valkey: EmbeddedServer
) -> None:
    worker = processes.worker().wait_ready()
    valkey.freeze()

    worker.signal(signal.SIGTERM)
    stopped_s = took_s(lambda: poll(lambda: worker.exit_code is not None, STOP_S + 2))

    say("SIGTERM to an idle worker with Redis frozen until the exit", stopped_s)
    assert worker.exit_code == 0
    assert stopped_s < STOP_S
    valkey.thaw()
    assert world.counts() == {}


def test_both_start_without_redis_and_work_once_it_is_there(
    world: Scene, processes: Processes, valkey: EmbeddedServer, tmp_path: Path
) -> None:
    order_id = world.sandbox.create_order()
    valkey.kill()
    web = processes.web()
    worker = Process("worker", processes.env, tmp_path / "worker-0.log")
    try:
        poll(lambda: "Booting worker" in web.log, 30)
        poll(lambda: "worker.redis_away" in worker.log, 30)
        refused = push(web, order_id)

        valkey.restart()
        web.wait_ready()
        push_all(web, [order_id])
        world.wait_until([order_id], State.ACKNOWLEDGED)

        assert refused.status_code == 503
        assert (web.exit_code, worker.exit_code) == (None, None)
    finally:
        worker.kill9()


class LoadThread:
    """Pushes order after order until told to stop, and keeps those that were answered 200."""

    def __init__(self, web: Web, order_ids: list[str]) -> None:
        self._web = web
        self._order_ids = iter(order_ids)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.accepted: list[str] = []
        self.refused: list[str] = []
        self._threads = [threading.Thread(target=self._push) for _ in range(6)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, answered: list[str], count: int) -> None:
        poll(lambda: len(answered) >= count, 30)

    def _push(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                order_id = next(self._order_ids, None)
            if order_id is None:
                return
            status = push(self._web, order_id).status_code
            assert status in {200, 503}
            (self.accepted if status == 200 else self.refused).append(order_id)
            time.sleep(0.01)  # a shop on a busy day, not a benchmark


def test_every_accepted_push_survives_a_kill_of_redis_under_load(
    sandbox: SandboxControl, tmp_path: Path
) -> None:
    order_ids = sandbox.create_orders(count=6000)
    with (
        EmbeddedServer(appendfsync="always") as server,
        Redis.from_url(server.url) as redis,
    ):
        env = {
            "REDIS_URL": server.url,
            "KLARNA_API_URL": sandbox.url,
            "KLARNA_USERNAME": "sandbox",
            "KLARNA_PASSWORD": "sandbox",
        }
        processes = Processes(env, tmp_path)
        world = Scene(Ledger(redis), sandbox)
        try:
            web = processes.web().wait_ready()
            workers = [processes.worker().wait_ready() for _ in range(2)]
            with LoadThread(web, order_ids) as load:
                for kills in (1, 2, 3):
                    load.wait_for(load.accepted, 250 * kills)
                    server.kill()
                    load.wait_for(load.refused, len(load.refused) + 1)
                    server.restart()
                    more = len(load.accepted) + 1
                    say(
                        "Redis back until a push is accepted",
                        took_s(partial(load.wait_for, load.accepted, more)),
                    )
            say(
                f"Redis killed three times under load: {len(load.accepted)} pushes acknowledged",
                took_s(
                    lambda: world.wait_until(load.accepted, State.ACKNOWLEDGED, within_s=RECOVERY_S)
                ),
            )
            all_are_there(world, load)
            assert [process.exit_code for process in (web, *workers)] == [None] * 3
        finally:
            processes.kill_all()
            sys.stdout.write(processes.logs()[-20_000:])
    assert_verified_before_acknowledged(sandbox.requests())


def all_are_there(world: Scene, load: LoadThread) -> None:
    """What was refused may have been stored, never the other way round; nobody is dead."""
    counts = poll_settled(world)
    assert set(counts) == {"acknowledged"}
    assert len(load.accepted) <= counts["acknowledged"] <= len(load.accepted) + len(load.refused)
    for order_id in load.accepted:
        assert world.effects(order_id) == 1
        assert len(world.keys_used(order_id)) == 1


def poll_settled(world: Scene) -> dict[str, int]:
    def settled() -> dict[str, int] | None:
        counts = world.counts()
        return counts if not {"queued", "running", "retrying", "held"} & counts.keys() else None

    return poll(settled, RECOVERY_S)
