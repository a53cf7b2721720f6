"""What a worker, a scrape and an operator's page cost at so many accounts and orders waiting.

All in this process, over a real Redis. A claim and a release are judged by how long they hold
Redis, for meanwhile it serves nobody else; a page and a scrape by how long somebody waits.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from statistics import median

from redis import Redis

from devtools.bench.figures import Figures, Key
from devtools.bench.scale import filling
from devtools.bench.scale.redis_time import script_ms
from pushes.accounts.holds import Holds
from pushes.accounts.serving import Serving, Share
from pushes.model import HoldReason, Reason
from pushes.read import dead_letters
from pushes.read.dead_letters import Filter
from pushes.store.ledger import Ledger
from service import create_app
from worker.claiming.claims import Claims
from worker.periodic.recovery import Recovery
from worker.periodic.resume import HeldBacklog

IDLE_CLAIM = "a claim that finds nothing: Redis, ms"
BUSY_CLAIM = "a claim of 32, every account has work: Redis, ms"
IDLE_RELEASE = "the release of held orders, none is held: Redis, ms"
HELD_RELEASE = "the release, every account is held: Redis, ms"
RECOVERY = "recovery, nothing to mend: ms"
METRICS = "`/metrics`: ms"
DEAD_PAGE = "a page of all dead letters: ms"
DEAD_PAGE_OF_REASON = "a page of one reason: ms"
WAITING_CLAIM = "a claim of 32: Redis, ms, median"
WAITING_CLAIM_AT_WORST = "a claim of 32: Redis, ms, the slowest"
LISTED = "jobs in RQ's list"

# Klarna's quota is not what is measured.
_RATE_PER_S = 1_000_000
_TIMES = 20
_CLAIMS = 25  # of 32 each: fewer than wait in any case
_AT_ONCE = 32
_DEAD_EACH = 10


def names(count: int) -> list[str]:
    """Name so many accounts."""
    return [f"shop-{number}" for number in range(count)]


class _SomeWorker:
    """The parts of a worker that look for work, for so many accounts."""

    def __init__(self, redis: Redis, accounts: list[str]) -> None:
        shares = {name: Share.of(name, _RATE_PER_S) for name in accounts}
        self.ledger = Ledger(redis)
        serving = Serving(redis, shares.values())
        serving.announce()
        self._claims = Claims(redis, self.ledger.rq, serving)
        self._backlog = HeldBacklog(self.ledger, serving)

    def claim(self) -> object:
        return self._claims.claim(_AT_ONCE)

    def release(self) -> object:
        return self._backlog.release(datetime.now(UTC))


def measure_accounts(redis: Redis, url: str, count: int, figures: Figures) -> None:
    """Measure with so many accounts; leaves Redis full."""
    accounts, condition = names(count), f"{count:,}"
    worker = _SomeWorker(redis, accounts)

    def note(figure: str, value: float) -> None:
        figures.note(Key("ours", condition, figure), value)

    note(IDLE_CLAIM, _typical(script_ms(redis, worker.claim) for _ in range(_TIMES)))
    note(IDLE_RELEASE, _typical(script_ms(redis, worker.release) for _ in range(_TIMES)))
    filling.fill(worker.ledger, filling.dead, accounts, each=_DEAD_EACH)
    note(DEAD_PAGE, _typical(_ms(lambda: dead_letters.page(redis, Filter())) for _ in range(5)))
    of_reason = Filter(reason=Reason.REJECTED)
    note(
        DEAD_PAGE_OF_REASON,
        _typical(_ms(lambda: dead_letters.page(redis, of_reason)) for _ in range(5)),
    )
    filling.fill(worker.ledger, filling.queued, accounts)
    recovery = Recovery(worker.ledger)
    note(RECOVERY, _typical(_ms(lambda: recovery.scan(datetime.now(UTC))) for _ in range(5)))
    note(BUSY_CLAIM, _typical(script_ms(redis, worker.claim) for _ in range(_TIMES)))
    holds = Holds(redis)
    for name in accounts:
        holds.begin(name, HoldReason.OUTAGE, "HTTP 503")
    filling.fill(worker.ledger, filling.held, accounts)
    note(HELD_RELEASE, _typical(script_ms(redis, worker.release) for _ in range(_TIMES)))
    scrape = create_app({"REDIS_URL": url}).test_client()
    note(METRICS, _typical(_ms(lambda: scrape.get("/metrics")) for _ in range(5)))


def measure_waiting(redis: Redis, count: int, figures: Figures) -> None:
    """Measure with so many orders waiting in one account; leaves Redis full."""
    worker = _SomeWorker(redis, names(1))
    filling.fill(worker.ledger, filling.queued, names(1), each=count)
    spent = [script_ms(redis, worker.claim) for _ in range(_CLAIMS)]
    for figure, value in {
        WAITING_CLAIM: median(spent),
        WAITING_CLAIM_AT_WORST: max(spent),
        LISTED: redis.llen(worker.ledger.rq.queue.key),
    }.items():
        figures.note(Key("ours", f"{count:,}", figure), value)


def _typical(values: Iterator[float]) -> float:
    """Return the median but for the first, which loads scripts and opens connections."""
    _first, *others = values
    return median(others)


def _ms(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000
