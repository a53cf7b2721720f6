"""A whole installation over a full Redis: the console is read while pushes come in.

The same pushes come with nobody at the console, in turn, for what the console costs them; and with
somebody at the console of the very process that takes them.
"""

import multiprocessing
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from redis import Redis

from devtools.bench.fake_klarna.control import BenchKlarna
from devtools.bench.load import open_loop
from devtools.bench.ops import filling, visits
from devtools.bench.ops.orders import FullRedis
from devtools.bench.ops.reader import ConsoleReader, Took
from devtools.bench.testbed import BenchError
from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import Processes, Web, poll
from devtools.reporting.run import say
from pushes.store import keys

PUSHES_PER_S = 50
_CONNECTIONS = 16
_REWRITE_TIMEOUT_S = 300.0

# Redis's append-only files; and beside them, where they are kept, when they were written.
_FILES, _UNTIL = "appendonlydir", "until"

# What holds the texts by which orders are found: see `pushes.store.texts`.
_SEARCH_INDEX = ("references", "settled-references", "calls")


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """How full Redis is, and how long is measured: so many windows of each kind.

    The orders of a run before are in `kept`, or are kept there for the next; None: for no other.
    """

    scale: float
    windows: int
    seconds: float
    kept: Path | None = None

    @classmethod
    def at_scale(cls, scale: float, kept: Path | None = None) -> "TrialPlan":
        """Return the whole, or a part of it."""
        return cls(scale, max(1, round(3 * scale)), max(1.0, 20.0 * min(1.0, scale)), kept)


@dataclass(slots=True)
class TrialFigures:
    """What was measured: answers of the console, and of pushes with nobody at it, or somebody.

    `beside`: the console is served by a process of its own; `within`: by that which takes pushes.
    """

    full: FullRedis
    took_beside: Took = field(default_factory=Took)
    took_within: Took = field(default_factory=Took)
    alone_ms: list[float] = field(default_factory=list)
    beside_ms: list[float] = field(default_factory=list)
    within_ms: list[float] = field(default_factory=list)
    errors: int = 0
    memory_bytes: int = 0
    search_index_bytes: int = 0


def run(plan: TrialPlan, directory: Path) -> TrialFigures:
    """Fill, serve and measure. Raises BenchError, ProcessError and RedisError."""
    full = FullRedis.at_scale(plan.scale, _until(plan.kept))
    figures = TrialFigures(full)
    with _installation(full, directory, plan.kept) as (redis, web, console):
        figures.memory_bytes = redis.info("memory")["used_memory"]
        wanted = visits.every(redis, figures.full)
        reader = ConsoleReader(console.url, redis, visits.limited_to(figures.full))
        rounds: tuple[tuple[Web | None, Took, list[float]], ...] = (
            (None, Took(), figures.alone_ms),
            (console, figures.took_beside, figures.beside_ms),
            (web, figures.took_within, figures.within_ms),
        )
        spawning = multiprocessing.get_context("spawn")
        with closing(reader), ProcessPoolExecutor(1, spawning) as pool:
            # Each process meets each page once before: code and templates are loaded then.
            for url in (console.url, web.url, web.url):
                reader.read(wanted, 0, Took(), url)
            for number in range(plan.windows):
                say(f"window {number + 1} of {plan.windows}")
                for served_by, took, pushes_ms in rounds:
                    pushing = pool.submit(
                        open_loop,
                        web.port,
                        connections=_CONNECTIONS,
                        rate=PUSHES_PER_S,
                        seconds=plan.seconds,
                        path=f"/push/{figures.full.names[0]}",
                    )
                    if served_by:
                        reader.read(wanted, plan.seconds, took, served_by.url)
                    load = pushing.result()
                    figures.errors += load.errors
                    pushes_ms.extend(load.latencies_ms())
        figures.search_index_bytes = _search_index_bytes(redis)
    return figures


@contextmanager
def _installation(
    full: FullRedis, directory: Path, kept: Path | None
) -> Iterator[tuple[Redis, Web, Web]]:
    with ExitStack() as opened:
        data, is_filled = directory / "redis", False
        if kept and (kept / _FILES).is_dir():
            shutil.copytree(kept / _FILES, data / _FILES)
            is_filled = True
        server = opened.enter_context(EmbeddedServer(data))
        redis = opened.enter_context(Redis.from_url(server.url))
        redis.config_set("auto-aof-rewrite-percentage", 0)  # a rewrite is not what is measured
        klarna = opened.enter_context(BenchKlarna(directory / "fake-klarna.log"))
        if not is_filled:
            _fill(server.url, redis, full)
        if kept and not is_filled:
            kept.mkdir(parents=True, exist_ok=True)
            (kept / _UNTIL).write_text(full.until.isoformat())
            shutil.copytree(data / _FILES, kept / _FILES)
        file = directory / "accounts.toml"
        file.write_text(
            "\n".join(
                f'[accounts.{name}]\napi_url = "{klarna.url}"\nusername = "{name}"\n'
                'password = "bench"\nrate_per_s = 1000'
                for name in full.names
            )
        )
        env = {"REDIS_URL": server.url, "ACCOUNTS_FILE": str(file), "LOG_FORMAT": "json"}
        processes = Processes(env, directory)
        opened.callback(processes.kill_all)
        processes.worker().wait_ready()
        web = processes.web().wait_ready()
        console = processes.console().wait_ready()
        yield redis, web, console
        processes.check()


def _until(kept: Path | None) -> datetime:
    """Say when the latest of the orders ended: when they were written."""
    if kept and (kept / _FILES).is_dir():
        return datetime.fromisoformat((kept / _UNTIL).read_text())
    return datetime.now(UTC)


def _fill(url: str, redis: Redis, full: FullRedis) -> None:
    say(f"writing {full.dead:,} dead letters and {full.settled:,} settled orders")
    redis.config_set("appendonly", "no")
    filling.fill(url, full)
    redis.config_set("appendonly", "yes")
    poll(lambda: not _is_rewriting(redis), _REWRITE_TIMEOUT_S)


def _is_rewriting(redis: Redis) -> bool:
    info = redis.info("persistence")
    return bool(info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"])


def _search_index_bytes(redis: Redis) -> int:
    """Take the search index away, and say by how much Redis's memory shrinks."""
    before = redis.info("memory")["used_memory"]
    gone = 0
    for name in _SEARCH_INDEX:
        pipeline = redis.pipeline(transaction=False)
        for key in redis.scan_iter(f"{keys.PREFIX}:{name}:*", count=10_000):
            pipeline.delete(key)
        gone += sum(cast(list[int], pipeline.execute()))
    if not gone:
        raise BenchError("there is no search index")
    return int(before - redis.info("memory")["used_memory"])
