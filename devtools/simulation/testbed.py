"""Where a scenario is played: an empty Redis, the model of Klarna, two workers, one clock."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import cast

from redis import Redis

from devtools.local.embedded import EmbeddedServer
from devtools.local.seeds import seeded
from devtools.simulation import alarms
from devtools.simulation.alarms import Alarms, Lookout
from devtools.simulation.clock import VirtualClock
from devtools.simulation.klarna.model import KlarnaModel
from devtools.simulation.merchant import MerchantModel
from devtools.simulation.program import ACCOUNT, OTHER, SimulatedIntake, SimulatedProcess
from devtools.simulation.traffic import Forger, Shop
from devtools.simulation.worker import SimulatedWorker
from pushes.model import State
from pushes.read import overview
from pushes.store.ledger import Ledger
from worker.attempt.acknowledge import ServedAccount

# In the past of every real clock: what RQ stamps with the real time never looks lapsed.
START = datetime(2026, 1, 5, tzinfo=UTC)

WORKERS = 2
# Two workers that were started together would do everything together.
_TASKS_APART_S = 0.25

# A run that goes wrong must not take the machine's memory: far above what any goal allows.
_MEMORY_LIMIT_BYTES = 6 * 1024**3
_WATCH_EVERY_S = 60.0


class OverrunError(Exception):
    """The program used so much memory of Redis that playing on says nothing more."""


@dataclass
class SimulationTestbed:
    """What a scenario works with."""

    clock: VirtualClock
    redis: Redis
    ledger: Ledger
    klarna: KlarnaModel
    shop: Shop
    merchant: MerchantModel
    other_klarna: KlarnaModel
    other_shop: Shop
    forger: Forger
    workers: list[SimulatedWorker]
    alarms: Alarms
    lookout: Lookout
    random: Random

    def await_(self, condition: Callable[[], bool], within_s: float, every_s: float) -> bool:
        """Let time pass until something holds; False when it does not in time."""
        until_s = self.clock.monotonic() + within_s
        while not condition():
            if self.clock.monotonic() >= until_s:
                return False
            self.clock.sleep(every_s)
        return True

    def is_quiet(self) -> bool:
        """Whether no push waits for anything."""
        counts = overview.counts(self.ledger, self.clock.now())
        return not any(counts[state] for state in State if state.is_waiting)

    def memory_bytes(self) -> int:
        """Tell how much Redis has used at most."""
        return int(cast(dict[str, int], self.redis.info("memory"))["used_memory_peak"])

    def watch(self) -> None:
        """From now on end the run with OverrunError when Redis grows out of all bounds."""
        self.clock.call_at(self.clock.monotonic() + _WATCH_EVERY_S, self._look)

    def _look(self) -> None:
        if self.memory_bytes() > _MEMORY_LIMIT_BYTES:
            raise OverrunError(f"Redis uses more than {_MEMORY_LIMIT_BYTES >> 20} MB")
        self.watch()


class _WakingIntake:
    """The intake, which wakes a worker for what it accepts."""

    def __init__(self, intake: SimulatedIntake, workers: list[SimulatedWorker]) -> None:
        self._intake = intake
        self._workers = workers

    def push(self, order_id: str, source: str) -> bool:
        is_accepted = self._intake.push(order_id, source)
        if is_accepted:
            self._wake_one()
        return is_accepted

    def _wake_one(self) -> None:
        """Wake the next in turn that is not full, as Redis wakes one of those that wait."""
        for _ in self._workers:
            worker = self._workers.pop(0)
            self._workers.append(worker)
            if not worker.is_full:
                worker.wake()
                return


@contextmanager
def running_testbed(
    seed: str, interval_factor: float = 1.0, *, hands_over: bool = False
) -> Iterator[SimulationTestbed]:
    """Start all of it; everything is gone at the end, also after a failure or ctrl-c.

    The workers do their periodic tasks `interval_factor` times less often than in life. With
    `hands_over` the account's orders go to the merchant first, and another account is served.
    """
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedServer())
        redis = stack.enter_context(Redis.from_url(server.url))
        redis.config_set("appendonly", "no")  # it costs time, and is not what is looked at
        heard = stack.enter_context(alarms.listening())
        clock = stack.enter_context(closing(VirtualClock(START)))
        testbed = _assembled(clock, redis, heard, seed, hands_over=hands_over)
        for number, worker in enumerate(testbed.workers):
            worker.start(number * _TASKS_APART_S, interval_factor)
        testbed.watch()
        yield testbed


def _assembled(
    clock: VirtualClock, redis: Redis, heard: Alarms, seed: str, *, hands_over: bool
) -> SimulationTestbed:
    """Put the parts together; each has a chance of its own, so that one more draws no other."""
    klarna = KlarnaModel(clock, seeded(seed, "klarna"))
    merchant = MerchantModel(clock, seeded(seed, "merchant"))
    other_klarna = KlarnaModel(clock, seeded(seed, "other klarna"))
    accounts = {ACCOUNT: ServedAccount(klarna)}
    if hands_over:
        accounts = {
            ACCOUNT: ServedAccount(klarna, shop=merchant),
            OTHER: ServedAccount(other_klarna),
        }
    workers: list[SimulatedWorker] = []

    def wake_all() -> None:
        for worker in workers:
            worker.wake()

    for number in range(WORKERS):
        name = f"worker-{number + 1}"
        process = SimulatedProcess(name, redis, clock, accounts, seeded(seed, name))
        workers.append(SimulatedWorker(process, clock, wake_all))
    ledger = Ledger(redis)
    intake = _WakingIntake(SimulatedIntake(ledger, clock), list(workers))
    shop = Shop(clock, klarna, intake, seeded(seed, "shop"))
    other_intake = _WakingIntake(SimulatedIntake(ledger, clock, OTHER), list(workers))
    other_shop = Shop(clock, other_klarna, other_intake, seeded(seed, "other shop"))
    forger = Forger(clock, intake, seeded(seed, "forger"))
    chance = seeded(seed, "scenario")
    lookout = Lookout(ledger, clock)
    return SimulationTestbed(
        clock=clock,
        redis=redis,
        ledger=ledger,
        klarna=klarna,
        shop=shop,
        merchant=merchant,
        other_klarna=other_klarna,
        other_shop=other_shop,
        forger=forger,
        workers=workers,
        alarms=heard,
        lookout=lookout,
        random=chance,
    )
