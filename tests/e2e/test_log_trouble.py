"""Nobody can write the log: the promise is kept, and no answer is another one."""

import fcntl
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from redis import Redis

from devtools.local.loopback import free_port
from devtools.local.processes import LoggedProcess, Processes, Web, poll, procfile
from devtools.local.sandbox_control import SandboxControl
from pushes.model import PushKey, State
from pushes.store import records

TROUBLES = ["no stderr", "the disk is full", "the reader is gone", "the reader sleeps"]
PAGE = 4096
PUSHES = 200  # lines of more than PAGE bytes altogether, by far


@contextmanager
def started(
    name: str, env: dict[str, str], trouble: str, directory: Path
) -> Iterator[LoggedProcess]:
    """Start a process of the Procfile whose log cannot be written."""
    command = shlex.join(procfile()[name])
    log, reader = directory / f"{name}.pipe", -1
    if trouble == "no stderr":
        log, command = directory / "none.txt", f"{command} 2>&-"
    elif trouble == "the disk is full":
        log = Path("/dev/full")
    else:
        os.mkfifo(log)
        reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, PAGE)
    process = LoggedProcess(name, ["sh", "-c", f"exec {command}"], env, log)
    if trouble == "the reader is gone":
        os.close(reader)
    try:
        yield process
    finally:
        process.kill9()
        if trouble == "the reader sleeps":
            os.close(reader)


def is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_push_is_answered_as_ever(
    processes: Processes, redis_client: Redis, tmp_path: Path, trouble: str
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = processes.env | {"PORT": str(port), "BIND": "127.0.0.1"}
    with started("web", env, trouble, tmp_path) as web:
        poll(lambda: is_ready(url), 60)

        answers = [push(url, number) for number in range(PUSHES)]
        refused = requests.post(f"{url}/push/{'x' * PAGE}", timeout=5)

        assert [answer.status_code for answer in answers] == [200] * PUSHES
        assert refused.status_code == 400
        assert len(redis_client.keys("klarna-ack:push:*")) == PUSHES
        assert web.terminate() == 0


def push(url: str, number: int) -> requests.Response:
    return requests.post(f"{url}/push/{number:08x}-1111-6222-a333-444455556666", timeout=5)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_order_is_acknowledged_and_settled(
    processes: Processes,
    redis_client: Redis,
    sandbox: SandboxControl,
    tmp_path: Path,
    trouble: str,
) -> None:
    web = processes.web().wait_ready()
    order_ids = sandbox.create_orders(count=20)
    env = processes.env | {"LOG_LEVEL": "debug"}
    with started("worker", env, trouble, tmp_path) as worker:
        for order_id in order_ids:
            assert requests.post(web.push_url + order_id, timeout=5).ok

        keys = [PushKey("default", order_id) for order_id in order_ids]
        poll(lambda: states(redis_client, keys) == {State.ACKNOWLEDGED}, 60)

        assert worker.exit_code is None
        assert worker.terminate() == 0


def states(redis: Redis, keys: list[PushKey]) -> set[State]:
    return {push.state for push in records.get_many(redis, keys) if push}


# A worker in which the thread of the first attempt ends, by what nothing in it foresees.
_BROKEN = """
import sys
from worker import __main__ as worker
from worker.attempt.acknowledge import Acknowledger

def end(*_):
    raise SystemExit("the thread ends")

Acknowledger.run = end
sys.argv = ["worker"]
code = worker.main()
worker.log.flush()
worker.os._exit(code)
"""


def test_a_worker_of_which_a_thread_ended_makes_room_for_another(
    processes: Processes, redis_client: Redis, sandbox: SandboxControl, tmp_path: Path
) -> None:
    web: Web = processes.web().wait_ready()
    (order_id,) = sandbox.create_orders(count=1)
    log = tmp_path / "broken.log"
    broken = LoggedProcess("broken", [sys.executable, "-c", _BROKEN], processes.env, log)

    assert requests.post(web.push_url + order_id, timeout=5).ok
    try:
        code = poll(lambda: broken.exit_code, 60)
    finally:
        broken.kill9()

    assert code == 70
    assert "worker.thread_ended" in broken.log
    assert "the thread ends" in broken.log
    (push,) = records.get_many(redis_client, [PushKey("default", order_id)])
    assert push
    assert (push.state, push.crashes, push.failures) == (State.QUEUED, 0, 0)
    processes.worker()
    poll(lambda: states(redis_client, [push.key]) == {State.ACKNOWLEDGED}, 60)
