"""Where measurements take place: one Redis, one fake Klarna, a directory for logs.

Each measurement begins on a cleared stage, and ends with its processes.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self

from redis import Redis

from devtools.bench.environment import PEERS_PYTHON, search_path
from devtools.bench.fake_control import ROOT, BenchError, BenchKlarna
from devtools.local.embedded import EmbeddedServer
from devtools.local.supervised import Supervised

Fsync = Literal["always", "everysec"]

_FEED_TIMEOUT_S = 120
_REWRITE_TIMEOUT_S = 30.0
_LOG_LINES = 15


class BenchStage:
    """`with Stage(directory) as stage`: what every measurement of a run shares."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server = EmbeddedServer()
        self._started = 0

    def __enter__(self) -> Self:
        self._server.start()
        try:
            self.redis = Redis.from_url(self._server.url)
            # A rewrite in the middle of a measurement would be one system's bad luck.
            self.redis.config_set("auto-aof-rewrite-percentage", 0)
            self.klarna = BenchKlarna(self._directory)
        except BaseException:
            self._server.stop()
            raise
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
        self.klarna.__exit__()
        self.redis.close()
        self._server.stop()

    @property
    def redis_pid(self) -> int:
        """The server's process id."""
        return self._server.pid

    def clear(self, fsync: Fsync = "everysec") -> None:
        """Empty Redis, its append-only file too, and choose how that file is synced from now on."""
        self.klarna.hold_calls(0)
        # Left to itself, Valkey frees the memory later, in the middle of what comes next.
        self.redis.execute_command("FLUSHALL", "SYNC")  # type: ignore[no-untyped-call]
        self.redis.config_set("appendfsync", fsync)
        self.redis.bgrewriteaof()
        deadline = time.monotonic() + _REWRITE_TIMEOUT_S
        while self.redis.info("persistence")["aof_rewrite_in_progress"]:
            if time.monotonic() > deadline:
                raise BenchError("Redis does not finish rewriting its append-only file")
            time.sleep(0.01)
        self.klarna.forget()

    def feed(self, peer: str, count: int, rate: float | None = None) -> dict[str, float]:
        """Queue orders for a peer (see `bench.feed`); with a rate, say when each was sent."""
        python = sys.executable if peer == "ours" else str(PEERS_PYTHON)
        command = [python, "-m", "devtools.bench.feed", peer, str(count)]
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
            raise BenchError(f"the queue for {peer} could not be filled:\n{_end_of(fed.stderr)}")
        sent: dict[str, float] = json.loads(fed.stdout) if rate else {}
        return sent

    @contextmanager
    def running(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, times: int = 1
    ) -> Iterator["PeerGroup"]:
        """Run a command, `times` times, for as long as the block lasts."""
        group = PeerGroup()
        try:
            for _ in range(times):
                self._started += 1
                log = self._directory / f"{self._started:03}.log"
                group.logs.append(log)
                with log.open("wb") as file:
                    group.members.append(
                        Supervised(
                            command, log=file, env=self._env | dict(env or {}), cwd=ROOT, grace_s=2
                        )
                    )
            yield group
        finally:
            for member in group.members:
                member.kill9()


class PeerGroup:
    """The processes of one system under measurement."""

    def __init__(self) -> None:
        self.members: list[Supervised] = []
        self.logs: list[Path] = []

    @property
    def pids(self) -> list[int]:
        """The commands' own process ids."""
        return [member.pid for member in self.members]

    def check(self) -> None:
        """Raise BenchError with the end of its log when one of the processes is gone."""
        for member, log in zip(self.members, self.logs, strict=True):
            if member.exit_code is not None:
                end = _end_of(log.read_text(errors="replace"))
                raise BenchError(f"it ended with {member.exit_code}:\n{end}")


def _end_of(text: str) -> str:
    return "\n".join(text.splitlines()[-_LOG_LINES:])
