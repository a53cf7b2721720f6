"""The processes of the Procfile, several of each, over one Redis and one sandbox.

A process that we kill has its successor at once, as with systemd's `Restart=always`. One that ends
by itself has none: the program promises to ride out what happens here, so that is a finding.
"""

import contextlib
import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from devtools.local.loopback import free_port
from devtools.local.processes import Web, Worker

# Events that mean a mistake in the program; whatever Klarna and Redis do must not lead to one.
_INTERNAL_ERROR = re.compile(
    r"failed_here|not_settled|record\.quarantined|key_set_aside|not_committed|attempt\.hung|foreign_job|^Traceback"
)


_AS_IN_PROCFILE: Mapping[str, Sequence[str]] = MappingProxyType({})


class Replica:
    """One of several alike, and the processes that it is one after the other."""

    def __init__(self, name: str, start: Callable[[Path], Web | Worker], logs: Path) -> None:
        self.name = name
        self._start = start
        self._logs = logs
        self._started = 0
        self._process = self._new_process()

    @property
    def pid(self) -> int:
        """The process that it is now."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it ended although nobody asked it to."""
        return self._process.exit_code is not None

    def kill(self) -> None:
        """SIGKILL; the successor starts at once."""
        self._process.kill9()
        self._process = self._new_process()

    def kill_child(self) -> bool:
        """SIGKILL one of gunicorn's own workers; gunicorn replaces it. False without /proc."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        with contextlib.suppress(OSError, IndexError):
            os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
            return True
        return False

    def freeze(self) -> None:
        """SIGSTOP: the process does nothing more, but is there."""
        self._process.signal(signal.SIGSTOP)

    def restart(self) -> int:
        """SIGTERM, wait for the end, start the successor; return the exit code."""
        code = self._process.terminate()
        self._process = self._new_process()
        return code

    @property
    def log_bytes(self) -> int:
        """How much it has logged so far, over all its processes."""
        return sum(log.stat().st_size for log in self._logs.glob(f"{self.name}.*.log"))

    def wait_ready(self) -> None:
        """Wait until it serves. Raises ProcessError."""
        self._process.wait_ready()

    def end(self) -> None:
        """SIGKILL without a successor."""
        self._process.kill9()

    def _new_process(self) -> Web | Worker:
        self._started += 1
        return self._start(self._logs / f"{self.name}.{self._started}.log")


class Fleet:
    """Web processes and workers over one Redis and one sandbox."""

    def __init__(
        self,
        env: Mapping[str, str],
        logs: Path,
        *,
        webs: int,
        workers: int,
        commands: Mapping[str, Sequence[str]] = _AS_IN_PROCFILE,
    ) -> None:
        self._logs = logs
        self.web_urls: list[str] = []
        self.webs: list[Replica] = []
        self.workers: list[Replica] = []
        try:
            for number in range(1, webs + 1):
                port = free_port()
                self.web_urls.append(f"http://127.0.0.1:{port}")
                start = partial(Web, {**env, "PORT": str(port)}, command=commands.get("web"))
                self.webs.append(Replica(f"web-{number}", start, logs))
            for number in range(1, workers + 1):
                start_worker = partial(Worker, env, command=commands.get("worker"))
                self.workers.append(Replica(f"worker-{number}", start_worker, logs))
            for replica in self.replicas:
                replica.wait_ready()
        except BaseException:
            self.end()
            raise

    @property
    def replicas(self) -> list[Replica]:
        """All of them."""
        return [*self.webs, *self.workers]

    def end(self) -> None:
        """Kill all, whatever state they are in."""
        for replica in self.replicas:
            replica.end()

    def internal_errors(self) -> list[str]:
        """List the lines in which they say that they themselves failed."""
        return [
            f"{log.name}: {line[:300]}"
            for log in sorted(self._logs.glob("*.log"))
            for line in log.read_text(errors="replace").splitlines()
            if _INTERNAL_ERROR.search(line)
        ]
