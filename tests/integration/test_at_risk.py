from dataclasses import replace
from datetime import timedelta

import pytest
from redis import Redis

from pushes import life
from pushes.model import Change, OrderSnapshot, Push, State
from pushes.read import at_risk
from pushes.read.at_risk import RiskGroup
from pushes.store import keys
from pushes.store.ledger import Ledger
from tests.builders import NOW, a_key, put

SEK_60 = OrderSnapshot(order_amount=6000, purchase_currency="SEK")


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def put_with_left(
    ledger: Ledger, left: timedelta, state: State = State.RETRYING, order: OrderSnapshot = SEK_60
) -> Push:
    """An order with so much time left at NOW, which Klarna has shown us."""
    push = put(ledger, state, now=NOW + left - timedelta(hours=48))
    shown = replace(push, rev=push.rev + 1, order=order)
    assert ledger.commit_many([Change(push, shown)]) == [True]
    return shown


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


NONE = [RiskGroup(under_h, 0, {}, 0, partial=False) for under_h in (24, 12, 4, 0)]


def test_it_sees_no_order_at_risk_before_half_the_time_is_over(ledger: Ledger) -> None:
    put_with_left(ledger, hours(24))

    assert at_risk.read(ledger.redis, NOW) == NONE


def test_it_sums_up_by_currency_what_has_less_time_left(ledger: Ledger) -> None:
    put_with_left(ledger, hours(23.9))
    put_with_left(ledger, hours(11.9), State.DEAD)
    put_with_left(ledger, hours(3.9), order=replace(SEK_60, purchase_currency="EUR"))
    put_with_left(ledger, hours(0.1), State.HELD, OrderSnapshot())
    put_with_left(ledger, hours(0), State.QUEUED)
    put_with_left(ledger, hours(-99), State.DEAD)

    assert at_risk.read(ledger.redis, NOW) == [
        RiskGroup(24, 4, {"SEK": 12000, "EUR": 6000}, 1, partial=False),
        RiskGroup(12, 3, {"SEK": 6000, "EUR": 6000}, 1, partial=False),
        RiskGroup(4, 2, {"EUR": 6000}, 1, partial=False),
        RiskGroup(0, 2, {"SEK": 12000}, 0, partial=False),
    ]


@pytest.mark.parametrize("state", [State.ACKNOWLEDGED, State.NOT_NEEDED])
def test_it_forgets_what_is_settled(ledger: Ledger, state: State) -> None:
    put_with_left(ledger, hours(1), state)

    assert at_risk.read(ledger.redis, NOW) == NONE


def test_it_forgets_what_is_discarded_and_knows_it_again_when_it_is_replayed(
    ledger: Ledger,
) -> None:
    key = put_with_left(ledger, hours(1), State.DEAD).key

    ledger.advance(key, lambda push: life.discarded(push, "ops", "forged", NOW))
    assert at_risk.read(ledger.redis, NOW) == NONE
    ledger.advance(key, lambda push: life.replayed(push, "ops", "a mistake", NOW))
    assert [group.orders for group in at_risk.read(ledger.redis, NOW)] == [1, 1, 1, 0]


def test_it_follows_a_deadline_that_klarna_opens_anew(ledger: Ledger) -> None:
    key = put_with_left(ledger, hours(-1), State.DEAD).key

    ledger.advance(key, lambda push: life.pushed_again(push, NOW))

    assert at_risk.read(ledger.redis, NOW) == NONE


def test_it_says_when_it_has_not_read_every_amount(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_risk, "AMOUNTS_READ", 3)
    for left in (-2, -1, 2, 3):
        put_with_left(ledger, hours(left))

    *_, under_4, late = at_risk.read(ledger.redis, NOW)

    assert under_4 == RiskGroup(4, 2, {"SEK": 12000}, 0, partial=False)
    assert late == RiskGroup(0, 2, {"SEK": 6000}, 0, partial=True)


def test_it_counts_without_reading_amounts(ledger: Ledger) -> None:
    for left in (-2, 2, 3):
        put_with_left(ledger, hours(left))

    assert at_risk.read(ledger.redis, NOW, with_amounts=False) == [
        RiskGroup(24, 2, {}, 0, partial=True),
        RiskGroup(12, 2, {}, 0, partial=True),
        RiskGroup(4, 2, {}, 0, partial=True),
        RiskGroup(0, 1, {}, 0, partial=True),
    ]


@pytest.mark.parametrize("amount", ["much", str(2**63), "9" * 4000, "9" * 5000])
def test_it_takes_no_number_that_is_none_for_an_amount(ledger: Ledger, amount: str) -> None:
    odd = put_with_left(ledger, hours(1)).key
    ledger.redis.hset(keys.record(odd), "order.order_amount", amount)

    assert at_risk.read(ledger.redis, NOW)[0] == RiskGroup(24, 1, {}, 1, partial=False)


def test_it_takes_what_is_no_record_for_an_unknown_amount(ledger: Ledger) -> None:
    odd = put_with_left(ledger, hours(1)).key
    ledger.redis.hset(keys.record(odd), "order.order_amount", "much")
    no_hash, gone = a_key(), a_key()
    ledger.redis.set(keys.record(no_hash), "rubbish")
    for key in (no_hash, gone):
        ledger.redis.zadd(keys.UNACKNOWLEDGED, {keys.job_id(key): (NOW + hours(1)).timestamp()})
    ledger.redis.zadd(keys.UNACKNOWLEDGED, {b"\xff": (NOW + hours(1)).timestamp()})

    assert at_risk.read(ledger.redis, NOW)[0] == RiskGroup(24, 4, {}, 4, partial=False)
