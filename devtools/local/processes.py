"""Our own processes on this machine: started as the Procfile says, watched, waited for.

Each listens on loopback only, logs to a file of its own, and ends with the process that started it.
"""

import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Self, TypeVar

import requests
from redis import Redis
from redis.exceptions import RedisError

from devtools.local.loopback import free_port, loopback_session
from devtools.local.sandbox_control import SandboxControl
from devtools.local.supervised import Supervised

ROOT = Path(__file__).parents[2]
_T = TypeVar("_T")
_POLL_S = 0.02
_READY_TIMEOUT_S = 60.0  # A second or two on an idle machine; the rest is for a loaded one.
_GRACE_S = 30.0
_LAST_LINES = 20


class ProcessError(Exception):
    """A process ended, or is not ready; the message ends with what it logged last."""


def poll(predicate: Callable[[], _T | None], timeout_s: float = 10.0, message: str = "") -> _T:
    """Wait until the predicate's answer is true and return it. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while True:
        if answer := predicate():
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(message or f"not within {timeout_s} s; last answer: {answer!r}")
        time.sleep(_POLL_S)


def procfile(root: Path = ROOT) -> dict[str, list[str]]:
    """Return the Procfile's commands by process name, split as a shell would split them."""
    lines = (line.partition(":") for line in (root / "Procfile").read_text().splitlines())
    return {name: shlex.split(command) for name, _, command in lines}


def search_path() -> str:
    """Return a PATH on which the commands of this virtual environment come first."""
    bin_directory = Path(sys.executable).parent  # Not resolved: a venv's python is a link.
    return f"{bin_directory}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


class LoggedProcess:
    """A running command and the file it logs to. It sees `env` and a PATH, nothing else of ours."""

    def __init__(  # noqa: PLR0913 - what a process is started with
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        *,
        cwd: Path = ROOT,
        grace_s: float = _GRACE_S,
    ) -> None:
        self.name = name
        self.log_file = log
        with log.open("ab") as file:
            self._supervised = Supervised(
                command, log=file, env={**env, "PATH": search_path()}, cwd=cwd, grace_s=grace_s
            )

    @property
    def pid(self) -> int:
        """The command's own process id."""
        return self._supervised.pid

    @property
    def exit_code(self) -> int | None:
        """128 + N when signal N ended it; None while it runs."""
        return self._supervised.exit_code

    @property
    def log(self) -> str:
        """What it has logged: complete lines, for it may be writing one at this moment."""
        return "".join(self.log_file.read_text(errors="replace").rpartition("\n")[:2])

    def last_lines(self) -> str:
        """Return the end of its log, under a line with its name."""
        lines = self.log_file.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join([f"==> {self.name} <==", *lines])

    def check(self) -> None:
        """Raise ProcessError when it has ended."""
        if (code := self.exit_code) is not None:
            raise ProcessError(f"{self.name} ended with exit code {code}\n{self.last_lines()}")

    def wait_until(
        self, condition: Callable[[], _T | None], timeout_s: float = _READY_TIMEOUT_S
    ) -> _T:
        """Wait until the condition's answer is true and return it.

        Raises ProcessError when the process ends before, or when the time is up.
        """

        def unless_ended() -> _T | None:
            self.check()
            return condition()

        try:
            return poll(unless_ended, timeout_s)
        except TimeoutError as error:
            raise ProcessError(f"{self.name}: {error}\n{self.last_lines()}") from error

    def wait_for_line(self, pattern: str) -> re.Match[str]:
        """Wait until it has logged what matches. Raises ProcessError as `wait_until` does."""
        return self.wait_until(lambda: re.search(pattern, self.log, re.MULTILINE))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, not to its children."""
        self._supervised.signal(number)

    def terminate(self) -> int:
        """Send SIGTERM, wait for the end, return the exit code; may be called twice."""
        return self._supervised.stop()

    def kill9(self) -> None:
        """Kill it without warning; it and its children are gone on return."""
        self._supervised.kill9()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()


class Process(LoggedProcess):
    """One line of the Procfile, running, or another command in its place."""

    def __init__(
        self, name: str, env: Mapping[str, str], log: Path, command: Sequence[str] | None = None
    ) -> None:
        super().__init__(name, command or procfile()[name], env, log)


class Web(Process):
    """The web process, on a free port of 127.0.0.1 unless `env` names one."""

    def __init__(
        self, env: Mapping[str, str], log: Path, command: Sequence[str] | None = None
    ) -> None:
        self.port = int(env.get("PORT") or free_port())
        self.url = f"http://127.0.0.1:{self.port}"
        bound = {"BIND": "127.0.0.1", **env, "PORT": str(self.port)}
        super().__init__("web", bound, log, command)

    @property
    def push_url(self) -> str:
        """What a merchant would give to Klarna, the order id's place at its end."""
        return f"{self.url}/push?klarna_order_id="

    def wait_ready(self) -> Self:
        """Wait until it is ready. Raises ProcessError."""
        self.wait_until(self.is_ready)
        return self

    def is_ready(self) -> bool:
        """Whether `/readyz` answers 200."""
        with suppress(requests.RequestException), loopback_session() as session:
            return session.get(f"{self.url}/readyz", timeout=5).status_code == HTTPStatus.OK
        return False


class Worker(Process):
    """The worker process."""

    def __init__(
        self, env: Mapping[str, str], log: Path, command: Sequence[str] | None = None
    ) -> None:
        self._redis_url = env["REDIS_URL"]
        super().__init__("worker", env, log, command)

    def wait_ready(self) -> Self:
        """Wait until RQ knows a worker of this process. Raises ProcessError."""
        self.wait_until(self._is_registered)
        return self

    def _is_registered(self) -> bool:
        """Whether one of RQ's workers has this process's id in its name, see `worker.names`."""
        with suppress(RedisError), Redis.from_url(self._redis_url) as client:
            return any(f"-{self.pid}-".encode() in name for name in client.smembers("rq:workers"))
        return False


class Sandbox(LoggedProcess):
    """The stand-in for Klarna, on a free port of 127.0.0.1."""

    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        command = [sys.executable, "-m", "sandbox", "--port", "0"]
        super().__init__("sandbox", command, env, log)

    def wait_ready(self) -> SandboxControl:
        """Wait until it listens; return its control side. Raises ProcessError."""
        return SandboxControl(self.wait_for_line(r"^sandbox listening url=(\S+)$")[1])


class Processes:
    """Starts any number of all; `env` holds for all of them, and can be overridden for one."""

    def __init__(self, env: Mapping[str, str], directory: Path) -> None:
        self.env = dict(env)
        self.started: list[LoggedProcess] = []
        self._directory = directory

    def web(self, **env: str) -> Web:
        """Start a web process."""
        web = Web(self.env | env, self._new_log("web"))
        self.started.append(web)
        return web

    def console(self) -> Web:
        """Start a web process for the console alone, as `deploy/systemd` does."""
        env = {**self.env, "WEB_CONCURRENCY": "1"}
        command = ["nice", "-n", "10", *procfile()["web"]]
        console = Web(env, self._new_log("console"), command)
        self.started.append(console)
        return console

    def worker(self, **env: str) -> Worker:
        """Start a worker."""
        worker = Worker(self.env | env, self._new_log("worker"))
        self.started.append(worker)
        return worker

    def sandbox(self) -> Sandbox:
        """Start a stand-in for Klarna."""
        sandbox = Sandbox(self.env, self._new_log("sandbox"))
        self.started.append(sandbox)
        return sandbox

    def check(self) -> None:
        """Raise ProcessError when one of them has ended."""
        for process in self.started:
            process.check()

    def kill_all(self) -> None:
        """Kill all of them without warning."""
        for process in self.started:
            process.kill9()

    def terminate_all(self) -> None:
        """End all of them, the last one first."""
        for process in reversed(self.started):
            process.terminate()

    def logs(self) -> str:
        """Return every process's output under a line with its name."""
        files = sorted(self._directory.glob("*.log"))
        return "\n".join(f"==> {file.name} <==\n{file.read_text()}" for file in files)

    def _new_log(self, name: str) -> Path:
        return self._directory / f"{name}-{len(self.started) + 1}.log"
