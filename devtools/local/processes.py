"""The web and worker processes, started exactly as the Procfile says, and waiting for them."""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

import requests
from redis import Redis

from devtools.local.ports import free_port
from devtools.local.procfile import procfile
from devtools.local.supervised import Supervised

ROOT = Path(__file__).parents[2]
_T = TypeVar("_T")
_READY_TIMEOUT_S = 30.0
_GRACE_S = 30.0


def poll(predicate: Callable[[], _T | None], timeout_s: float = 10.0, message: str = "") -> _T:
    """Wait until the predicate's answer is true and return it; AssertionError at the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        if answer := predicate():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(message or f"not within {timeout_s} s; last answer: {answer!r}")
        time.sleep(0.02)


class Process:
    """One line of the Procfile, running. It sees `env` and a PATH, and nothing else of ours."""

    def __init__(self, name: str, env: Mapping[str, str], log: Path) -> None:
        bin_directory = Path(sys.executable).parent
        path = f"{bin_directory}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        self._log = log
        with log.open("ab") as file:
            self._supervised = Supervised(
                procfile(ROOT)[name],
                log=file,
                env={"PATH": path, **env},
                cwd=ROOT,
                grace_s=_GRACE_S,
            )

    @property
    def pid(self) -> int:
        return self._supervised.pid

    @property
    def exit_code(self) -> int | None:
        """128 + N when signal N ended it; None while it runs."""
        return self._supervised.exit_code

    @property
    def log(self) -> str:
        """What it has logged: complete lines, for it may be writing one at this moment."""
        return "".join(self._log.read_text(errors="replace").rpartition("\n")[:2])

    def signal(self, number: signal.Signals) -> None:
        self._supervised.signal(number)

    def terminate(self) -> int:
        """SIGTERM, and wait for the end: its exit code."""
        return self._supervised.stop()

    def kill9(self) -> None:
        self._supervised.kill9()

    def _poll_ready(self, is_ready: Callable[[], bool]) -> None:
        def ready_or_dead() -> bool:
            assert self.exit_code is None, f"it exited with {self.exit_code}:\n{self.log}"
            return is_ready()

        try:
            poll(ready_or_dead, _READY_TIMEOUT_S)
        except AssertionError as error:
            error.add_note(self.log)
            raise


class Web(Process):
    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__("web", {**env, "PORT": str(self.port)}, log)

    def wait_ready(self) -> Self:
        self._poll_ready(self.is_ready)
        return self

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False


class Worker(Process):
    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        self._redis_url = env["REDIS_URL"]
        self._earlier_workers = self._registered_workers()
        super().__init__("worker", env, log)

    def wait_ready(self) -> Self:
        """Until RQ knows a worker that it did not know before this process was started."""
        self._poll_ready(lambda: bool(self._registered_workers() - self._earlier_workers))
        return self

    def _registered_workers(self) -> set[bytes]:
        with Redis.from_url(self._redis_url) as client:
            return set(client.smembers("rq:workers"))


class Processes:
    """Starts any number of both; `env` holds for all of them, and can be overridden for one."""

    def __init__(self, env: Mapping[str, str], directory: Path) -> None:
        self.env = dict(env)
        self._directory = directory
        self._started: list[Process] = []

    def web(self, **env: str) -> Web:
        web = Web(self.env | env, self._new_log("web"))
        self._started.append(web)
        return web

    def worker(self, **env: str) -> Worker:
        worker = Worker(self.env | env, self._new_log("worker"))
        self._started.append(worker)
        return worker

    def kill_all(self) -> None:
        for process in self._started:
            process.kill9()

    def logs(self) -> str:
        """Every process's output under a line with its name."""
        files = sorted(self._directory.glob("*.log"))
        return "\n".join(f"==> {file.name} <==\n{file.read_text()}" for file in files)

    def _new_log(self, name: str) -> Path:
        return self._directory / f"{name}-{len(self._started) + 1}.log"
