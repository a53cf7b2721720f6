# ruff: noqa: RUF001 - the sign for "times" is meant
"""The worker systems that are held against each other, and how each is started.

All make the same two calls for an order. Ours are started as the Procfile says. A peer is started
with its own command, as its documentation shows it; the number of processes and threads is what
suits two cores, and for Dramatiq also what ours have, so that the code is compared and not a number
of threads.
"""

from dataclasses import dataclass, field

from devtools.bench.peers.environment import PEERS_PYTHON
from devtools.local.processes import procfile
from worker.settings import WorkerSettings

_WORKER = tuple(procfile()["worker"])
_PEER = str(PEERS_PYTHON)
_PEERS = "devtools.bench.peers"
_RQ_WORKER = ("worker", "--quiet", "bench")
_DEFAULT_CONCURRENCY: int = WorkerSettings.model_fields["concurrency"].default


@dataclass(frozen=True, slots=True)
class System:
    """One way to work off the queue: `command`, started `times` times.

    `peer` is the module of `bench.peers` that fills its queue. It works on `slots` orders at a time
    and does not exceed `at_most_per_s` on two cores; the queue is filled for that. It is fully up
    `warm_up_s` after its first acknowledgement. `latencies_ms` are those it is worth measuring at.
    """

    name: str
    peer: str
    command: tuple[str, ...]
    times: int
    slots: int
    at_most_per_s: int
    warm_up_s: float = 1.5
    latencies_ms: tuple[int, ...] = (100, 50, 0)
    env: dict[str, str] = field(default_factory=dict)

    def limit_per_s(self, latency_ms: float) -> float:
        """Return what its slots allow when each of the two calls takes this long, at most."""
        by_slots = self.slots / (2 * latency_ms / 1000) if latency_ms else self.at_most_per_s
        return min(by_slots, self.at_most_per_s)


def _ours(
    times: int, concurrency: int = _DEFAULT_CONCURRENCY, latencies_ms: tuple[int, ...] = (50,)
) -> System:
    """Make our worker: `times` processes that make `concurrency` attempts at a time each."""
    is_default = concurrency == _DEFAULT_CONCURRENCY
    return System(
        name=f"ours, {times} × {concurrency}",
        peer="ours",
        command=_WORKER,
        times=times,
        slots=times * concurrency,
        at_most_per_s=2_000,
        latencies_ms=latencies_ms,
        env={} if is_default else {"WORKER_CONCURRENCY": str(concurrency)},
    )


def _dramatiq(threads: int, latencies_ms: tuple[int, ...] = (50,)) -> System:
    """Make Dramatiq with two processes of so many threads."""
    return System(
        name=f"Dramatiq, 2 × {threads} threads",
        peer="dramatiq_actors",
        command=(
            *(_PEER, "-m", "dramatiq", f"{_PEERS}.dramatiq_actors"),
            *("--processes", "2", "--threads", str(threads)),
        ),
        times=1,
        slots=2 * threads,
        at_most_per_s=1_200,
        latencies_ms=latencies_ms,
    )


# As it comes.
OURS = _ours(2, latencies_ms=(100, 50, 0))
OURS_ALONE = _ours(1)
DRAMATIQ = _dramatiq(_DEFAULT_CONCURRENCY, latencies_ms=(100, 50, 0))
# Few slots: 64 attempts of 100 ms each cannot exceed 640/s, whatever the code.
OURS_32 = _ours(2, 32)
DRAMATIQ_32 = _dramatiq(32)

TASKIQ = System(
    name="taskiq, 2 × 100 tasks, aiohttp",
    peer="taskiq_tasks",
    command=(
        *(_PEER, "-m", "taskiq", "worker", f"{_PEERS}.taskiq_tasks:broker"),
        *("--workers", "2", "--max-async-tasks", "100", "--log-level", "WARNING"),
    ),
    times=1,
    slots=200,
    at_most_per_s=1_600,
)
CELERY = System(
    name="Celery, 2 × 64 greenlets",
    peer="celery_tasks",
    command=(
        *(_PEER, "-m", "celery", "-A", f"{_PEERS}.celery_tasks", "worker", "-l", "WARNING"),
        *("-P", "gevent", "-c", "64", "--without-mingle", "--without-gossip"),
    ),
    times=2,
    slots=128,
    at_most_per_s=1_200,
    warm_up_s=3,
    latencies_ms=(50,),
)
RQ_WORKER = System(
    name="RQ Worker, 2 processes",
    peer="rq_jobs",
    command=(_PEER, "-m", "rq.cli", *_RQ_WORKER),
    times=2,
    slots=2,
    at_most_per_s=60,
)
RQ_PREIMPORTED = System(
    name="RQ Worker, 2, job pre-imported",
    peer="rq_jobs",
    command=(_PEER, "-m", f"{_PEERS}.rq_preimported", *_RQ_WORKER),
    times=2,
    slots=2,
    at_most_per_s=150,
    latencies_ms=(50,),
)
RQ_SIMPLE = System(
    name="RQ SimpleWorker, 8 processes",
    peer="rq_jobs",
    command=(_PEER, "-m", "rq.cli", *_RQ_WORKER, "--worker-class", "rq.SimpleWorker"),
    times=8,
    slots=8,
    at_most_per_s=600,
    warm_up_s=4,
)

ALL = (
    OURS,
    DRAMATIQ,
    OURS_32,
    DRAMATIQ_32,
    OURS_ALONE,
    TASKIQ,
    CELERY,
    RQ_SIMPLE,
    RQ_WORKER,
    RQ_PREIMPORTED,
)

#: Which of ours a peer is held against: the one that makes as many attempts at a time, if there is.
COUNTERPARTS = {system.name: OURS_32 if system is DRAMATIQ_32 else OURS for system in ALL}
