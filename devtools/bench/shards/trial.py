"""So many deployments under load: pushes as fast as they are answered, then acknowledgements."""

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from devtools.bench import machine
from devtools.bench.fake_klarna.control import BenchKlarna
from devtools.bench.figures import Figures, Key
from devtools.bench.load import PushTarget, closed_loop_over
from devtools.bench.shards import deployment
from devtools.bench.shards.deployment import CpuSpent, Deployment
from devtools.bench.testbed import BenchError
from devtools.local.processes import poll

PUSHES = "pushes/s"
WEB_PER_PUSH = "web process, ms a push"
REDIS_PER_PUSH = "Redis, ms a push"
ACKS = "acknowledged/s"
WORKER_PER_ACK = "worker, ms an order"
REDIS_PER_ACK = "Redis, ms an order"
IDLE = "of a core while idle, each, %"
MEMORY = "memory, each, MB"
PUSHES_BUSY = "cores busy meanwhile, the load's generator included"
ACKS_BUSY = "cores busy meanwhile, the stand-in for Klarna included"
_ACCEPTED = "accepted"

_ACCOUNTS = 16  # divided among them, as the map of nginx does
_CONNECTIONS = 64
_LATENCY_MS = 50
_FIRST_TIMEOUT_S = 30.0
_SETTLE_S = 1.0
_POLL_S = 0.05
# Orders that are left when the window of acknowledgements ends: else one deployment had none.
_LEFT = 400


@dataclass(frozen=True, slots=True)
class Windows:
    """How long each is, in seconds."""

    pushes_s: float = 5.0
    acks_s: float = 5.0
    idle_s: float = 4.0


def measure(count: int, windows: Windows, figures: Figures) -> None:
    """Measure so many deployments once."""
    with ExitStack() as opened:
        place = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="klarna-ack-shards-")))
        klarna = opened.enter_context(BenchKlarna(place / "klarna.log"))
        klarna.hold_calls(_LATENCY_MS)
        shards: list[Deployment] = []
        targets: list[PushTarget] = []
        for number in range(count):
            accounts = [f"shop-{n}" for n in range(_ACCOUNTS) if n % count == number]
            running = deployment.running(f"shard-{number + 1}", accounts, klarna.url, place)
            shards.append(opened.enter_context(running))
            targets += [PushTarget(shards[-1].web.port, f"/push/{account}") for account in accounts]
        found = _pushed(shards, targets, windows.pushes_s)
        found |= _acknowledged(shards, klarna, found.pop(_ACCEPTED), windows.acks_s)
        _await_quiet(klarna)
        found |= _idle(shards, windows.idle_s)
    for figure, value in found.items():
        figures.note(Key("ours", str(count), figure), value)


def _pushed(
    shards: list[Deployment], targets: list[PushTarget], seconds: float
) -> dict[str, float]:
    warm = closed_loop_over(targets, connections=_CONNECTIONS, seconds=_SETTLE_S)
    before, busy_s = _spent(shards), machine.busy_s()
    load = closed_loop_over(targets, connections=_CONNECTIONS, seconds=seconds)
    spent, busy_s = _spent(shards).since(before), machine.busy_s() - busy_s
    if load.errors:
        raise BenchError(f"{load.errors} pushes were not answered with 200")
    count = len(load.answered)
    return {
        PUSHES: count / seconds,
        WEB_PER_PUSH: spent.web / count * 1000,
        REDIS_PER_PUSH: spent.redis / count * 1000,
        PUSHES_BUSY: busy_s / seconds,
        _ACCEPTED: count + len(warm.answered),
    }


def _acknowledged(
    shards: list[Deployment], klarna: BenchKlarna, accepted: float, seconds: float
) -> dict[str, float]:
    for shard in shards:
        shard.work()
    poll(lambda: klarna.counts().acknowledged, _FIRST_TIMEOUT_S)
    time.sleep(_SETTLE_S)
    first, before, busy_s = klarna.counts(), _spent(shards), machine.busy_s()
    last = first
    while last.at - first.at < seconds and last.acknowledged < accepted - _LEFT:
        time.sleep(_POLL_S)
        last = klarna.counts()
    spent, busy_s = _spent(shards).since(before), machine.busy_s() - busy_s
    done = last.acknowledged - first.acknowledged
    if not done:
        raise BenchError("nothing was acknowledged while it was measured")
    return {
        ACKS: last.rate_since(first),
        WORKER_PER_ACK: spent.worker / done * 1000,
        REDIS_PER_ACK: spent.redis / done * 1000,
        ACKS_BUSY: busy_s / (last.at - first.at),
    }


def _idle(shards: list[Deployment], seconds: float) -> dict[str, float]:
    before = _spent(shards)
    time.sleep(seconds)
    spent = _spent(shards).since(before)
    return {
        IDLE: spent.all / seconds / len(shards) * 100,
        MEMORY: sum(shard.memory_mb for shard in shards) / len(shards),
    }


def _await_quiet(klarna: BenchKlarna) -> None:
    """Wait until every order is acknowledged, and what was counted of them written."""
    deadline = time.monotonic() + _FIRST_TIMEOUT_S
    before = -1
    while (now := klarna.counts().acknowledged) != before:
        if time.monotonic() > deadline:
            raise BenchError("the queues do not run empty")
        before = now
        time.sleep(_SETTLE_S)


def _spent(shards: list[Deployment]) -> CpuSpent:
    each = [shard.spent for shard in shards]
    return CpuSpent(
        sum(one.web for one in each),
        sum(one.worker for one in each),
        sum(one.redis for one in each),
    )
