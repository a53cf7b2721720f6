"""Orders of an account that no worker knows: told once, shown, and taken up when it is back."""

from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

from pushes.accounts import serving
from pushes.accounts.holds import Holds
from pushes.accounts.serving import Serving, Share, UnservedAccount
from pushes.model import HoldReason, PushKey, State
from pushes.read import alarms
from pushes.read.alarms import Alarm
from pushes.store import records
from pushes.store.ledger import Ledger
from tests.builders import NOW, ManualClock, a_key, put
from worker.claiming.claims import Claims
from worker.periodic import unserved
from worker.periodic.resume import HeldBacklog

LATER = timedelta(seconds=serving.TTL_S + 1)


class SmallWorker:
    """A worker of some accounts, as far as it claims, releases and looks for unserved ones."""

    def __init__(self, redis: Redis, clock: ManualClock, *accounts: str) -> None:
        ledger = Ledger(redis)
        shares = {name: Share.of(name, 100) for name in accounts}
        self._redis = redis
        self._clock = clock
        self.serving = Serving(redis, shares.values(), clock.now)
        self.claims = Claims(redis, ledger.rq, self.serving, clock, now=clock.now)
        self.backlog = HeldBacklog(ledger, self.serving)
        self.serving.announce()

    def scan(self) -> None:
        unserved.scan(self._redis, self.serving, self._clock.now)

    def take(self) -> list[PushKey]:
        return [claim.key for claim in self.claims.claim(32).claims]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def told(logs: list[MutableMapping[str, Any]]) -> list[tuple[str, str]]:
    return [(line["event"], line["account"]) for line in logs]


def test_orders_of_an_account_that_no_worker_knows_are_told_once_and_shown(
    ledger: Ledger, clock: ManualClock
) -> None:
    redis = ledger.redis
    both, one = SmallWorker(redis, clock, "eu", "us"), SmallWorker(redis, clock, "eu")
    for _ in range(3):
        put(ledger, State.QUEUED, a_key("us"))
    put(ledger, State.HELD, a_key("us"))
    put(ledger, State.QUEUED, a_key("eu"))

    with capture_logs() as before:
        both.scan()
    well = before, serving.unserved(redis), alarms.raised(redis)
    clock.sleep(LATER.total_seconds())  # "us" was taken out, the workers were restarted
    with capture_logs() as logs:
        one.scan()
        one.scan()

    assert well == ([], [], {})
    assert told(logs) == [("account.not_served", "us")]
    assert (logs[0]["queued"], logs[0]["held"]) == (3, 1)
    assert serving.unserved(redis) == [UnservedAccount("us", NOW + LATER, queued=3, held=1)]
    assert alarms.raised(redis) == {Alarm.ACCOUNT_NOT_SERVED: NOW + LATER}


def test_an_account_that_is_back_is_taken_up_with_what_was_held(
    ledger: Ledger, clock: ManualClock
) -> None:
    redis = ledger.redis
    queued = put(ledger, State.QUEUED, a_key("us")).key
    held = put(ledger, State.HELD, a_key("us")).key
    without = SmallWorker(redis, clock, "eu")
    without.scan()
    assert without.take() == []
    assert without.backlog.release(NOW) == 0

    with capture_logs() as logs:
        back = SmallWorker(redis, clock, "eu", "us")
        back.scan()
    taken = back.take()
    released = back.backlog.release(NOW)
    record = records.get(redis, held)

    assert (taken, released, back.take()) == ([queued], 1, [held])
    assert record
    assert record.state is State.QUEUED
    assert (serving.unserved(redis), alarms.raised(redis)) == ([], {})
    assert told(logs) == [("account.served_again", "us")]


def test_an_account_that_is_back_is_probed_when_it_is_held(
    ledger: Ledger, clock: ManualClock
) -> None:
    held = put(ledger, State.HELD, a_key("us")).key
    Holds(ledger.redis, clock.now).begin("us", HoldReason.CREDENTIALS, "HTTP 401")
    SmallWorker(ledger.redis, clock, "eu").scan()
    clock.sleep(3600)

    assert SmallWorker(ledger.redis, clock, "us").take() == [held]


def test_an_account_whose_last_order_is_gone_is_not_shown_any_more(
    ledger: Ledger, clock: ManualClock
) -> None:
    push = put(ledger, State.QUEUED, a_key("us"))
    shop = SmallWorker(ledger.redis, clock, "eu")
    shop.scan()
    assert ledger.remove_many([push])

    shop.scan()

    assert (serving.unserved(ledger.redis), alarms.raised(ledger.redis)) == ([], {})


def test_new_orders_of_an_unserved_account_hold_up_nobody(
    ledger: Ledger, clock: ManualClock
) -> None:
    shop = SmallWorker(ledger.redis, clock, "eu")
    for _ in range(2):
        put(ledger, State.QUEUED, a_key("us"))
        shop.scan()
    key = put(ledger, State.QUEUED, a_key("eu")).key

    assert shop.take() == [key]
    assert [(one.name, one.queued) for one in serving.unserved(ledger.redis)] == [("us", 2)]
