"""Who pushes what and when, before an intake that accepts what it is told to."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from devtools.local.seeds import seeded
from devtools.simulation.clock import VirtualClock
from devtools.simulation.klarna.model import KlarnaModel
from devtools.simulation.traffic import RESEND_SAMPLE, Forger, Shop
from pushes.model import TRUSTED
from sandbox.pushing.schedule import KLARNA_SCHEDULE_S
from tests.builders import NOW

HOUR_S = 3600.0


@dataclass
class FakeIntake:
    capacity: int
    pushed: list[tuple[str, str]] = field(default_factory=list)

    def push(self, order_id: str, source: str) -> bool:
        self.pushed.append((order_id, source))
        return len(self.pushed) <= self.capacity


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    with closing(VirtualClock(NOW)) as clock:
        yield clock


def a_shop(clock: VirtualClock, intake: FakeIntake) -> Shop:
    return Shop(clock, KlarnaModel(clock, seeded("1", "klarna")), intake, seeded("1", "shop"))


def test_it_pushes_orders_at_the_rate_until_told_to_stop(clock: VirtualClock) -> None:
    intake = FakeIntake(capacity=10_000)
    shop = a_shop(clock, intake)

    shop.sell(10)
    clock.sleep(100)
    shop.sell(0)
    sold = len(shop.pushed_at)
    clock.sleep(100)

    assert 900 < sold < 1100
    assert len(shop.pushed_at) == len(intake.pushed) == len(shop.accepted) == sold
    assert {source for _, source in intake.pushed} == {TRUSTED}


def test_it_pushes_a_sample_of_the_accepted_orders_on_klarnas_schedule(
    clock: VirtualClock,
) -> None:
    intake = FakeIntake(capacity=100_000)
    shop = a_shop(clock, intake)
    shop.sell(10)
    clock.sleep(100)
    shop.sell(0)

    clock.sleep(48 * HOUR_S)

    sampled = [one for one in shop.pushed_at if int(one[-8:], 16) % RESEND_SAMPLE == 0]
    pushes = Counter(order_id for order_id, _ in intake.pushed)
    assert 50 < len(sampled) < 150
    assert {one for one in pushes if pushes[one] > 1} == set(sampled)
    assert {pushes[one] for one in sampled} == {1 + len(KLARNA_SCHEDULE_S)}
    assert shop.resent == len(sampled) * len(KLARNA_SCHEDULE_S)


def test_it_pushes_every_refused_order_until_it_is_accepted(clock: VirtualClock) -> None:
    intake = FakeIntake(capacity=0)
    shop = a_shop(clock, intake)
    shop.sell(1)
    clock.sleep(100)
    shop.sell(0)
    assert (shop.accepted, shop.refused) == (set(), len(shop.pushed_at))

    intake.capacity = 100_000
    clock.sleep(400)

    assert shop.accepted == set(shop.pushed_at)


def test_it_pushes_no_order_that_is_acknowledged(clock: VirtualClock) -> None:
    intake = FakeIntake(capacity=100_000)
    klarna = KlarnaModel(clock, seeded("1", "klarna"))
    shop = Shop(clock, klarna, intake, seeded("1", "shop"))
    shop.sell(10)
    clock.sleep(10)
    shop.sell(0)
    klarna.journal.acknowledged_at = dict.fromkeys(shop.pushed_at, 10.0)

    clock.sleep(48 * HOUR_S)

    assert len(intake.pushed) == len(shop.pushed_at)


def test_it_floods_from_many_sources_and_asks_once_a_bunch_when_kept_out(
    clock: VirtualClock,
) -> None:
    intake = FakeIntake(capacity=1000)
    forger = Forger(clock, intake, seeded("1", "forger"))

    forger.flood(500, over_s=10)
    clock.sleep(20)

    assert (forger.pushed, forger.accepted) == (5000, 1000)
    assert len(intake.pushed) == 1000 + 80  # 20 bunches of 50 fit
    assert len({source for _, source in intake.pushed}) > 500
    assert len({order_id for order_id, _ in intake.pushed}) == len(intake.pushed)
