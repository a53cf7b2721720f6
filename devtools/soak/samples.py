"""What a run is measured by: a sample every few seconds, taken beside the load. Needs /proc."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import requests
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from devtools.bench import process_tree
from devtools.chaos.audit import counts
from devtools.chaos.fleet import Fleet, Replica

_PROC = Path("/proc")
_KEYS_AT_ONCE = 1000
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """One process of ours and its children."""

    memory_mb: float
    files: int
    threads: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything at one moment, `at_s` seconds after the load began."""

    at_s: float
    accepted: int  # pushes so far
    worker: ProcessSample
    web: ProcessSample
    redis_mb: float
    keys: Counter[str]  # by what they are for
    bytes_of: Counter[str] = field(default_factory=Counter)


class Sampler:
    """Takes samples in a thread of its own, from `with` to its end; none while Redis is away."""

    def __init__(
        self, redis_url: str, fleet: Fleet, accepted: Callable[[], int], every_s: float
    ) -> None:
        self.samples: list[Sample] = []
        self._redis = Redis.from_url(redis_url, socket_timeout=5, retry=Retry(NoBackoff(), 0))
        self._worker, self._web = fleet.workers[0], fleet.webs[0]
        self._web_url = fleet.web_urls[0]
        self._accepted = accepted
        self._every_s = every_s
        self._began = time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._redis.close()

    def _run(self) -> None:
        while not self._end.wait(self._every_s):
            with suppress(RedisError, requests.RequestException):
                counts.metrics(self._web_url)  # as Prometheus does
                self.samples.append(self._take())

    def _take(self) -> Sample:
        memory = self._redis.info("memory")
        found, sizes = _keys(self._redis)
        return Sample(
            at_s=time.monotonic() - self._began,
            accepted=self._accepted(),
            worker=_process(self._worker, {self._worker.pid}),
            web=_process(self._web, process_tree.tree([self._web.pid])),
            redis_mb=memory["used_memory"] / _MB,
            keys=found,
            bytes_of=sizes,
        )


def _process(replica: Replica, pids: Iterable[int]) -> ProcessSample:
    """Measure processes; a worker without the child that it starts now and then."""
    pids = set(pids)
    return ProcessSample(
        memory_mb=process_tree.resident_mb(pids),
        files=sum(_entries(pid, "fd") for pid in pids),
        threads=sum(_entries(pid, "task") for pid in pids),
        log_bytes=replica.log_bytes,
    )


def _entries(pid: int, folder: str) -> int:
    with suppress(OSError):  # it ended
        return len(list((_PROC / str(pid) / folder).iterdir()))
    return 0


def _keys(redis: Redis) -> tuple[Counter[str], Counter[str]]:
    """Count the keys, and their bytes, by the first two parts of their names."""
    names = [str(name, "utf-8", "replace") for name in redis.scan_iter(count=_KEYS_AT_ONCE)]
    found, sizes = Counter(map(_family, names)), Counter[str]()
    for start in range(0, len(names), _KEYS_AT_ONCE):
        part = names[start : start + _KEYS_AT_ONCE]
        pipeline = redis.pipeline(transaction=False)
        for name in part:
            pipeline.memory_usage(name)
        for name, size in zip(part, pipeline.execute(), strict=True):
            sizes[_family(name)] += size or 0  # it expired
    return found, sizes


def _family(name: str) -> str:
    return ":".join(name.split(":")[:2])
