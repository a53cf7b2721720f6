"""One deployment of several: a Redis, a web process and a worker, started as the Procfile says."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from devtools.bench import process_tree
from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import LoggedProcess, Web, procfile


@dataclass(frozen=True, slots=True)
class CpuSpent:
    """CPU seconds of all deployments so far, by what spent them."""

    web: float
    worker: float
    redis: float

    def since(self, earlier: "CpuSpent") -> "CpuSpent":
        """Return what was spent since an earlier look."""
        return CpuSpent(
            self.web - earlier.web, self.worker - earlier.worker, self.redis - earlier.redis
        )

    @property
    def all(self) -> float:
        """Everything."""
        return self.web + self.worker + self.redis


class Deployment:
    """A Redis and what runs over it. The worker starts with `work`."""

    def __init__(self, server: EmbeddedServer, web: Web, env: dict[str, str], log: Path) -> None:
        self.server, self.web = server, web
        self.worker: LoggedProcess | None = None
        self._env, self._log = env, log

    def work(self) -> None:
        """Start the worker."""
        self.worker = LoggedProcess("worker", procfile()["worker"], self._env, self._log)

    @property
    def memory_mb(self) -> float:
        """What its processes hold, pages that they share counted once."""
        pids = [self.server.pid, self.web.pid, *self._worker_pids]
        return process_tree.memory_mb(pids)

    @property
    def spent(self) -> CpuSpent:
        """What its processes have spent so far."""
        return CpuSpent(
            process_tree.cpu_s([self.web.pid]),
            process_tree.cpu_s(self._worker_pids),
            process_tree.cpu_s([self.server.pid]),
        )

    def end(self) -> None:
        """Kill web process and worker."""
        self.web.kill9()
        if self.worker:
            self.worker.kill9()

    @property
    def _worker_pids(self) -> list[int]:
        return [self.worker.pid] if self.worker else []


@contextmanager
def running(
    name: str, accounts: Sequence[str], klarna_url: str, place: Path
) -> Iterator[Deployment]:
    """Start a deployment that serves these accounts, but for its worker."""
    file = place / f"{name}.toml"
    file.write_text(
        "\n".join(
            f'[accounts.{account}]\napi_url = "{klarna_url}"\nusername = "{account}"\n'
            'password = "bench"\nrate_per_s = 100000'  # the quota is not what is measured
            for account in accounts
        )
    )
    with EmbeddedServer() as server:
        with Redis.from_url(server.url) as redis:
            # A rewrite in the middle of a measurement would be one deployment's bad luck.
            redis.config_set("auto-aof-rewrite-percentage", 0)
        env = {"REDIS_URL": server.url, "ACCOUNTS_FILE": str(file), "LOG_FORMAT": "json"}
        web = Web(env, place / f"{name}-web.log")
        deployment = Deployment(server, web, env, place / f"{name}-worker.log")
        try:
            web.wait_ready()
            yield deployment
        finally:
            with suppress(ProcessLookupError):
                deployment.end()
