"""Where measurements take place: one Redis, one fake Klarna, a directory for logs.

Each measurement begins on a cleared testbed, and ends with its processes.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from redis import Redis

from devtools.bench.fake_klarna.control import BenchKlarna
from devtools.bench.peers.environment import PEERS_PYTHON
from devtools.local.embedded import EmbeddedServer, Fsync
from devtools.local.processes import ROOT, LoggedProcess, search_path

_FEED_TIMEOUT_S = 120
_REWRITE_TIMEOUT_S = 30.0
_ERROR_LINES = 15
_GRACE_S = 2.0


class BenchError(Exception):
    """A measurement could not be made; the message says why and what to look at."""


class BenchTestbed:
    """`with BenchTestbed(directory) as testbed`: what every measurement of a run shares."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server = EmbeddedServer()
        self._started = 0

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.enter_context(self._server)
            self.redis = opened.enter_context(Redis.from_url(self._server.url))
            # A rewrite in the middle of a measurement would be one system's bad luck.
            self.redis.config_set("auto-aof-rewrite-percentage", 0)
            self.klarna = opened.enter_context(BenchKlarna(self._directory / "fake-klarna.log"))
            self._close = opened.pop_all().close
        self._env = {
            "PATH": search_path(),
            "REDIS_URL": self._server.url,
            "KLARNA_API_URL": self.klarna.url,
            "KLARNA_USERNAME": "bench",
            "KLARNA_PASSWORD": "bench",
            "KLARNA_RATE_PER_S": "100000",  # the quota is Klarna's; here the worker is the limit
            "LOG_FORMAT": "json",
        }
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    @property
    def redis_url(self) -> str:
        """The server's URL, with its password."""
        return self._server.url

    @property
    def redis_pid(self) -> int:
        """The server's process id."""
        return self._server.pid

    def clear(self, fsync: Fsync = "everysec") -> None:
        """Empty Redis, its append-only file too, and choose how that file is synced from now on."""
        self.klarna.hold_calls(0)
        # Left to itself, Valkey frees the memory later, in the middle of what comes next.
        self.redis.execute_command("FLUSHALL", "SYNC")
        self.redis.config_set("appendfsync", fsync)
        self.redis.bgrewriteaof()
        deadline = time.monotonic() + _REWRITE_TIMEOUT_S
        while self.redis.info("persistence")["aof_rewrite_in_progress"]:
            if time.monotonic() > deadline:
                raise BenchError("Redis does not finish rewriting its append-only file")
            time.sleep(0.01)
        self.klarna.forget()

    def feed(self, peer: str, count: int, rate: float | None = None) -> dict[str, float]:
        """Queue orders for a peer (see `bench.peers.feed`); with a rate, say when each was sent."""
        python = sys.executable if peer == "ours" else str(PEERS_PYTHON)
        command = [python, "-m", "devtools.bench.peers.feed", peer, str(count)]
        command += ["--rate", str(rate)] if rate else []
        fed = subprocess.run(  # noqa: S603 - our own module
            command,
            cwd=ROOT,
            env=self._env,
            check=False,
            capture_output=True,
            text=True,
            timeout=_FEED_TIMEOUT_S + (count / rate if rate else 0),
        )
        if fed.returncode:
            raise BenchError(
                f"the queue for {peer} could not be filled:\n{_last_lines(fed.stderr)}"
            )
        sent: dict[str, float] = json.loads(fed.stdout) if rate else {}
        return sent

    @contextmanager
    def running(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, times: int = 1
    ) -> Iterator["ProcessGroup"]:
        """Run a command, `times` times, for as long as the block lasts."""
        group, name = ProcessGroup(), Path(command[0]).name
        try:
            for _ in range(times):
                self._started += 1
                log = self._directory / f"{self._started:03}.log"
                whole = self._env | dict(env or {})
                group.append(LoggedProcess(name, command, whole, log, grace_s=_GRACE_S))
            yield group
        finally:
            for process in group:
                process.kill9()


class ProcessGroup(list[LoggedProcess]):
    """The processes of one system under measurement."""

    @property
    def pids(self) -> list[int]:
        """The commands' own process ids."""
        return [process.pid for process in self]

    def check(self) -> None:
        """Raise ProcessError when one of the processes is gone."""
        for process in self:
            process.check()


def _last_lines(text: str) -> str:
    return "\n".join(text.splitlines()[-_ERROR_LINES:])
