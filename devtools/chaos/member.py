"""One place in the fleet, and the processes that hold it one after the other.

A process that we kill has its successor at once, as with systemd's `Restart=always`. One that ends
by itself has none: the program promises to ride out what happens here, so that is a finding.
"""

import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import requests

from devtools.local.loopback import free_port
from devtools.local.processes import Process


class Member:
    """One place in the fleet; the process that holds it changes."""

    def __init__(self, kind: str, number: int, env: Mapping[str, str], logs: Path) -> None:
        self.name = f"{kind}-{number}"
        self._kind = kind
        self._env = dict(env)
        self._logs = logs
        self._born = 0
        if kind == "web":
            port = free_port()
            self.url = f"http://127.0.0.1:{port}"
            # The configuration listens everywhere; a trial has no need to.
            self._env |= {"PORT": str(port), "GUNICORN_CMD_ARGS": f"--bind=127.0.0.1:{port}"}
        self._process = self._new_process()

    @property
    def pid(self) -> int:
        """The process that holds the place now."""
        return self._process.pid

    @property
    def has_fallen(self) -> bool:
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

    def wait_ready(self) -> None:
        """Wait until it serves. Raises ProcessError."""
        self._process.wait_until(self._is_ready)

    def end(self) -> None:
        """SIGKILL without a successor."""
        self._process.kill9()

    def _is_ready(self) -> bool:
        if self._kind == "worker":
            return "worker.started" in self._process.log
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/readyz", timeout=5).ok
        return False

    def _new_process(self) -> Process:
        self._born += 1
        return Process(self._kind, self._env, self._logs / f"{self.name}.{self._born}.log")
