from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest

from devtools.local.seeds import seeded
from devtools.simulation.clock import VirtualClock
from devtools.simulation.klarna import faults
from devtools.simulation.klarna.journal import Journal, SlidingSecond
from devtools.simulation.klarna.model import QUOTA_PER_S, KlarnaModel
from klarna import (
    Exchange,
    KlarnaError,
    MisconfigurationError,
    NoSuchOrderError,
    Operation,
    RateLimitedError,
    TransientError,
)
from tests.builders import NOW, an_order_id
from worker.attempt.acknowledge import OrderClient


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    with closing(VirtualClock(NOW)) as clock:
        yield clock


@pytest.fixture
def klarna(clock: VirtualClock) -> KlarnaModel:
    return KlarnaModel(clock, seeded("1", "klarna"))


def ignore(_exchange: Exchange) -> None: ...


def test_it_shows_and_acknowledges_its_orders(clock: VirtualClock, klarna: KlarnaModel) -> None:
    client: OrderClient = klarna
    order_id, seen = an_order_id(), list[Exchange]()
    klarna.add(order_id)

    order = client.get_order(order_id, observe=seen.append)
    client.acknowledge(order_id, idempotency_key="a key", observe=seen.append)

    assert (order.order_id, order.status) == (order_id, "AUTHORIZED")
    assert [(each.operation, each.http_status, each.error) for each in seen] == [
        (Operation.GET_ORDER, 200, None),
        (Operation.ACKNOWLEDGE, 204, None),
    ]
    assert sum(each.elapsed_ms for each in seen) == pytest.approx(clock.monotonic() * 1000, abs=2)
    assert 0.1 < clock.monotonic() < 0.6
    assert klarna.is_acknowledged(order_id)
    journal = klarna.journal
    assert (journal.requests, journal.unverified) == (2, [])
    assert journal.answers == Counter({"200": 1, "204": 1})


@pytest.mark.parametrize(
    ("told", "error", "status"),
    [
        (lambda _: faults.UNAVAILABLE, TransientError, 503),
        (lambda _: faults.TIMED_OUT, TransientError, None),
        (faults.wrong_password, MisconfigurationError, 401),
    ],
)
def test_it_fails_as_it_is_told_to(
    klarna: KlarnaModel,
    told: faults.Faults,
    error: type[KlarnaError],
    status: int | None,
) -> None:
    order_id, seen = an_order_id(), list[Exchange]()
    klarna.add(order_id)
    klarna.faults = told

    with pytest.raises(error) as raised:
        klarna.get_order(order_id, observe=seen.append)

    assert [(each.http_status, bool(each.error)) for each in seen] == [(status, True)]
    assert raised.value.exchange is seen[0]
    assert seen[0].elapsed_ms <= (300 if status else 10_100)
    assert not klarna.is_acknowledged(order_id)


def test_it_does_not_know_an_order_before_it_is_visible(
    clock: VirtualClock, klarna: KlarnaModel
) -> None:
    not_yet = an_order_id()
    klarna.add(not_yet, visible_in_s=5)
    for order_id in (an_order_id(), not_yet):
        with pytest.raises(NoSuchOrderError):
            klarna.get_order(order_id, observe=ignore)

    clock.sleep(5)

    assert klarna.get_order(not_yet, observe=ignore).order_id == not_yet


def test_it_lets_no_more_through_than_its_quota(clock: VirtualClock, klarna: KlarnaModel) -> None:
    order_id, answered = an_order_id(), Counter[str]()
    klarna.add(order_id)

    def call() -> None:
        try:
            klarna.get_order(order_id, observe=ignore)
            answered["order"] += 1
        except RateLimitedError as error:
            answered[f"wait {error.retry_after_s} s"] += 1

    for _ in range(QUOTA_PER_S + 10):
        clock.start(call)
    clock.sleep(2)
    clock.start(call)
    clock.sleep(1)

    assert answered == Counter({"order": QUOTA_PER_S + 1, "wait 1.0 s": 10})
    assert klarna.journal.busiest_second == QUOTA_PER_S + 10


def test_it_notes_an_acknowledge_without_a_get(klarna: KlarnaModel) -> None:
    order_id = an_order_id()
    klarna.add(order_id)
    acknowledge = partial(klarna.acknowledge, order_id, idempotency_key="a key", observe=ignore)

    klarna.get_order(order_id, observe=ignore)
    acknowledge()
    acknowledge()

    assert klarna.journal.unverified == [order_id]
    assert klarna.journal.acknowledged_again == 1


# What is counted


def test_it_counts_any_second_and_not_the_calendars() -> None:
    second = SlidingSecond()
    counts = [second.add(at_s) for at_s in (0.0, 0.9, 0.95, 1.0, 1.5, 1.9, 3.0)]

    assert counts == [1, 2, 3, 3, 4, 4, 1]
    assert second.count(4.0) == 0


def test_it_finds_the_busiest_of_the_whole_minutes_in_a_span() -> None:
    journal = Journal()
    for at_s in (10, 11, 12, 70, 130, 131, 190, 191, 192):
        journal.requested(at_s)

    assert journal.busiest_minute(0, 200) == 3
    assert journal.busiest_minute(30, 185) == 2
    assert journal.busiest_minute(70, 100) == 0
