"""Requests a second and their latency: our web process and two bare views, under one gunicorn.

All run on gthread with two processes of eight threads. Ours is started as the Procfile says, with
all it does: settings, checks, the ledger, one log line a push. The bare ones log nothing.
"""

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from uuid import uuid4

from devtools.bench.figures import Figures, Key
from devtools.bench.load import closed_loop, open_loop
from devtools.bench.plan import Plan
from devtools.bench.process_tree import cpu_s, peak_process_mb
from devtools.bench.testbed import BenchError, BenchTestbed, ProcessGroup
from devtools.local.loopback import free_port
from devtools.local.processes import procfile
from devtools.reporting.numbers import percentile

CONNECTIONS = 64
STEADY_PER_S = 300
_READY_TIMEOUT_S = 20.0
# Of each window, before what counts: imports, connections and caches come first.
_WARM_UP_SHARE = 0.25

# As deploy/gunicorn.conf.py, but without its access log.
_BARE = (
    *("python", "-m", "gunicorn", "--worker-class", "gthread", "--workers", "2", "--threads", "8"),
    *("--preload", "--keep-alive", "75", "--no-control-socket"),
)


@dataclass(frozen=True, slots=True)
class View:
    """One endpoint that takes pushes; without Redis the fsync policy makes no difference to it."""

    name: str
    command: tuple[str, ...]
    uses_redis: bool = True
    env: dict[str, str] = field(default_factory=dict)


OURS = View("ours", tuple(procfile()["web"]))
OURS_SILENT = View("ours, LOG_LEVEL=warning", OURS.command, env={"LOG_LEVEL": "warning"})
FLASK = View(
    "bare Flask view", (*_BARE, "devtools.bench.peers.intake_views:bare()"), uses_redis=False
)
ENQUEUE = View("bare queue.enqueue view", (*_BARE, "devtools.bench.peers.intake_views:enqueue()"))

ALL = (FLASK, OURS, ENQUEUE, OURS_SILENT)


def conditions(view: View) -> tuple[str, ...]:
    """Return what a view is measured under: Redis's fsync policies, where it uses Redis."""
    if not view.uses_redis:
        return ("",)
    return ("everysec",) if view is OURS_SILENT else ("everysec", "always")


def measure(
    testbed: BenchTestbed, view: View, condition: str, plan: Plan, figures: Figures
) -> None:
    """Measure one view in one round: as much as it takes, then a steady rate."""
    testbed.clear("always" if condition == "always" else "everysec")
    with serving(testbed, view) as web:
        closed_loop(web.port, connections=CONNECTIONS, seconds=plan.intake_s * _WARM_UP_SHARE)
        cpu = cpu_s(web.group.pids)
        full = closed_loop(web.port, connections=CONNECTIONS, seconds=plan.intake_s)
        cpu = cpu_s(web.group.pids) - cpu
        steady = open_loop(
            web.port, connections=CONNECTIONS, rate=STEADY_PER_S, seconds=plan.steady_s
        )
        process_mb = peak_process_mb(web.group.pids)
    answers = len(full.answered)
    skip_s = plan.steady_s * _WARM_UP_SHARE
    for figure, value in {
        "full_per_s": answers / plan.intake_s,
        "full_cpu_us": cpu / answers * 1_000_000,
        "generator_us": full.generator_cpu_s / answers * 1_000_000,
        "full_p50_ms": percentile(full.latencies_ms(), 0.5),
        "full_p99_ms": percentile(full.latencies_ms(), 0.99),
        "steady_p50_ms": percentile(steady.latencies_ms(skip_s), 0.5),
        "steady_p99_ms": percentile(steady.latencies_ms(skip_s), 0.99),
        "errors": full.errors + steady.errors,
        "process_mb": process_mb,
    }.items():
        figures.note(Key(view.name, condition, figure), value)


@dataclass(frozen=True, slots=True)
class BenchWeb:
    """A view that is being served."""

    port: int
    group: ProcessGroup


@contextmanager
def serving(testbed: BenchTestbed, view: View) -> Iterator[BenchWeb]:
    """Serve a view on a free port for as long as the block lasts."""
    port = free_port()
    env = {"PORT": str(port), "GUNICORN_CMD_ARGS": f"--bind=127.0.0.1:{port}", **view.env}
    with testbed.running(view.command, env) as group:
        _await_answer(group, port)
        yield BenchWeb(port, group)


def _await_answer(group: ProcessGroup, port: int) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while True:
        group.check()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        with suppress(OSError):
            connection.request("POST", f"/push?klarna_order_id={uuid4()}")
            if connection.getresponse().status == HTTPStatus.OK:
                return
        connection.close()
        if time.monotonic() > deadline:
            raise BenchError(f"the web process does not answer in {_READY_TIMEOUT_S:.0f} s")
        time.sleep(0.02)
