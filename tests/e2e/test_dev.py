"""`klarna-ack dev` as a newcomer runs it: a process of its own, that leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis

from devtools.local.processes import ROOT, poll
from pushes.accounts.holds import Holds
from pushes.model import HoldReason, State
from pushes.read import overview, runs
from pushes.read.runs import BulkRun, RunState
from pushes.store.ledger import Ledger

_TIMEOUT_S = 60.0


def command(*options: str) -> list[str]:
    return [str(Path(sys.executable).with_name("klarna-ack")), "dev", *options]


class Dev:
    """A running `klarna-ack dev`, its output, and the processes it has started."""

    def __init__(self, output: Path, env: dict[str, str]) -> None:
        self._output = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                command(), cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_for(self, text: str) -> None:
        def said() -> bool:
            assert self.process.poll() is None, self.output
            return text in self.output

        poll(said, _TIMEOUT_S, f"it never said {text!r}")


def table() -> dict[int, tuple[int, str]]:
    """Every process: its parent and its command line; zombies, which run no more, left out."""
    lines = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="],  # noqa: S607 - wherever ps is
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    rows = (line.split(maxsplit=3) for line in lines)
    return {int(row[0]): (int(row[1]), row[3]) for row in rows if "Z" not in row[2]}


def descendants(pid: int) -> set[int]:
    parents = {child: parent for child, (parent, _) in table().items()}
    found: set[int] = set()
    level = {pid}
    while level:
        level = {child for child, parent in parents.items() if parent in level}
        found |= level
    return found


def is_gone(pids: set[int]) -> Callable[[], bool]:
    return lambda: not pids & table().keys()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The shell of somebody with production settings, which must not matter."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "REDIS_URL": "redis://production.invalid",
        "KLARNA_API_URL": "klarna-eu",
        "ACCOUNTS_FILE": "/nowhere/accounts.toml",
        "PUSH_TOKEN": "made-up",
        "GUNICORN_CMD_ARGS": "--nonsense",
        "BIND": "198.51.100.7",
        "WEB_CONCURRENCY": "0",
        "http_proxy": "http://proxy.invalid:1",
    }


@pytest.fixture
def dev(tmp_path: Path, environment: dict[str, str]) -> Iterator[Dev]:
    dev = Dev(tmp_path / "output", environment)
    try:
        yield dev
    finally:
        dev.process.kill()
        dev.process.wait()
        sys.stdout.write(dev.output)


def test_once_pushes_three_orders_and_sees_them_acknowledged(
    environment: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        command("--once"),
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^[0-9a-f-]{36}  acknowledged \d+ ms ", done.stdout, re.MULTILINE)) == 3


def test_once_fails_when_the_settings_do_not_hold(environment: dict[str, str]) -> None:
    done = subprocess.run(
        command("--once"),
        cwd=ROOT,
        env={**environment, "RETRY_DELAYS_S": "soon"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 1
    assert "ended with exit code 78" in done.stderr
    assert "RETRY_DELAYS_S" in done.stderr


def test_it_shows_an_order_acknowledged_and_a_forged_one_tried_again(dev: Dev) -> None:
    dev.wait_for("acknowledged")
    dev.wait_for("attempt 2: Klarna answered 404")
    (forged,) = re.findall(r"^(\S+)  pushed by a forger", dev.output, re.MULTILINE)
    assert f"{forged}  acknowledged" not in dev.output
    assert "export REDIS_URL=redis://" in dev.output


def test_it_opens_on_every_state_on_holds_and_on_a_running_replay(dev: Dev) -> None:
    dev.wait_for("the console says why")
    (url,) = re.findall(r"export REDIS_URL=(\S+)", dev.output)
    with Redis.from_url(url) as redis:
        ledger = Ledger(redis)

        def has_every_state() -> bool:
            return all(overview.counts(ledger, datetime.now(UTC)).values())

        def replayed() -> BulkRun | None:
            return next((run for run in runs.page(redis).items if run.results), None)

        poll(has_every_state, _TIMEOUT_S)
        holds = Holds(redis)
        standings = [holds.get(name) for name in ("default", "denmark", "finland", "norway")]
        assert [hold and hold.reason for hold in standings] == [
            None,
            HoldReason.OPERATOR,
            None,
            HoldReason.CREDENTIALS,
        ]
        run = poll(replayed, _TIMEOUT_S)
        assert run.state is RunState.RUNNING
        assert set(run.results or {}) == {State.ACKNOWLEDGED}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_everything_it_started(dev: Dev, number: signal.Signals) -> None:
    dev.wait_for("acknowledged")
    started = descendants(dev.process.pid)
    assert len(started) >= 8  # four processes, each under its supervisor
    dev.process.send_signal(number)
    assert dev.process.wait(_TIMEOUT_S) == 0
    assert is_gone(started)()


def test_it_leaves_no_process_when_killed(dev: Dev) -> None:
    dev.wait_for("acknowledged")
    started = descendants(dev.process.pid)
    assert len(started) >= 8
    dev.process.kill()
    poll(is_gone(started), 30, "a process outlived `klarna-ack dev`")


def test_it_ends_when_one_of_its_processes_does(dev: Dev) -> None:
    dev.wait_for("acknowledged")
    workers = {pid for pid, (_, args) in table().items() if args.endswith("-m worker")}
    (worker,) = workers & descendants(dev.process.pid) - _supervisors()
    os.kill(worker, signal.SIGKILL)
    assert dev.process.wait(_TIMEOUT_S) == 1
    assert "worker ended with exit code 137" in dev.output


def _supervisors() -> set[int]:
    return {pid for pid, (_, args) in table().items() if "supervised.py" in args}
