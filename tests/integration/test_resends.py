from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from redis import Redis
from structlog.testing import capture_logs

from pushes import life
from pushes.model import Push, PushKey, Reason, State
from pushes.origin import Origin
from pushes.read import alarms
from pushes.read.alarms import Alarm
from pushes.resends import ResendCounts
from pushes.store import keys, records
from pushes.store.counted import resend_counts
from pushes.store.ledger import Ledger
from service import make_app
from service.settings import load
from tests.builders import NOW, a_key, pop, put
from worker.periodic import resends

ALARM = Alarm.PUSHES_NOT_REACHING_US


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def look(ledger: Ledger, minutes: float) -> ResendCounts:
    """Look after so many minutes; return what was counted since the ledger began."""
    resends.scan(ledger.redis, at(minutes))
    return resend_counts.totals(ledger.redis)


def awaited(ledger: Ledger, key: PushKey) -> float | None:
    """After how many minutes the next re-send of an order counts as missed."""
    score = ledger.redis.zscore(keys.RESENDS, keys.job_id(key))
    return None if score is None else (score - NOW.timestamp()) / 60


def acknowledge(ledger: Ledger, key: PushKey, minutes: float) -> None:
    pop(ledger)
    ledger.advance(key, lambda push: life.started(push, "w", "a" * 32, at(minutes)))
    ledger.advance(key, lambda push: life.acknowledged(push, at(minutes)))


def test_it_waits_until_a_resend_is_overdue(ledger: Ledger) -> None:
    key = put(ledger, State.QUEUED).key

    assert awaited(ledger, key) == 15
    assert look(ledger, 14.9) == ResendCounts()
    assert look(ledger, 15) == ResendCounts(missed=1)
    assert look(ledger, 15) == ResendCounts(missed=1)
    assert awaited(ledger, key) == 25


def test_it_sees_a_resend(ledger: Ledger) -> None:
    key = put(ledger, State.RETRYING).key
    ledger.accept(key, at(5.1))

    assert look(ledger, 15) == ResendCounts(seen=1)
    assert look(ledger, 25) == ResendCounts(seen=1, missed=1)


def test_it_makes_up_for_the_time_in_which_no_worker_looked(ledger: Ledger) -> None:
    key = put(ledger, State.HELD).key

    assert look(ledger, 5 * 60 + 20) == ResendCounts(missed=5)
    assert awaited(ledger, key) == 9 * 60 + 10
    assert resend_counts.last_hour(ledger.redis, at(5 * 60 + 20)) == ResendCounts(missed=1)


def test_it_counts_a_resend_that_settles_its_order_at_once(ledger: Ledger) -> None:
    key = put(ledger, State.RETRYING).key
    ledger.accept(key, at(5))

    acknowledge(ledger, key, 5.1)

    assert look(ledger, 60) == ResendCounts(seen=1)
    assert awaited(ledger, key) is None


def test_it_counts_nothing_for_an_order_that_is_acknowledged_soon(ledger: Ledger) -> None:
    put(ledger, State.ACKNOWLEDGED)

    assert look(ledger, 60) == ResendCounts()
    assert not ledger.redis.exists(keys.RESENDS)


def test_it_watches_dead_letters_until_they_are_discarded(ledger: Ledger) -> None:
    key = put(ledger, State.RUNNING).key
    ledger.advance(key, lambda push: life.dead(push, Reason.REJECTED, NOW, "HTTP 400"))

    assert look(ledger, 15) == ResendCounts(missed=1)
    ledger.advance(key, lambda push: life.discarded(push, "ops", "a test", at(20)))
    assert awaited(ledger, key) is None


def test_it_does_not_await_what_was_queued_by_hand(ledger: Ledger) -> None:
    key = a_key()
    ledger.accept(key, NOW, Origin("pushed_by_operator", "mia"))
    ledger.accept(key, at(1))  # nobody knows which of Klarna's pushes this is

    assert awaited(ledger, key) is None


def test_it_awaits_an_order_anew_when_klarna_begins_anew(ledger: Ledger) -> None:
    key = put(ledger, State.DEAD).key
    days = 3 * 24 * 60
    look(ledger, days)
    assert awaited(ledger, key) is None

    ledger.accept(key, at(days))

    assert awaited(ledger, key) == days + 15


def test_it_learns_nothing_from_orders_that_klarna_does_not_know(ledger: Ledger) -> None:
    key = put(ledger, State.DEAD).key

    assert look(ledger, 15) == ResendCounts()
    assert awaited(ledger, key) == 25


def test_it_learns_nothing_from_an_account_that_is_held_for_an_outage(ledger: Ledger) -> None:
    held, other = put(ledger, State.HELD, a_key("eu")).key, put(ledger, State.HELD, a_key("us")).key

    resends.scan(ledger.redis, at(15), lambda account: account == "eu")

    assert resend_counts.totals(ledger.redis) == ResendCounts(missed=1)
    assert awaited(ledger, held) == awaited(ledger, other) == 25


def test_it_forgets_an_order_after_its_last_resend(ledger: Ledger) -> None:
    key = put(ledger, State.RETRYING).key

    assert look(ledger, 45 * 60 + 10).missed == 15
    assert awaited(ledger, key) is None


@pytest.mark.parametrize("rubbish", [False, True])
def test_it_forgets_what_has_no_record_that_can_be_read(ledger: Ledger, rubbish: bool) -> None:  # noqa: FBT001 - a parameter of the table
    key = put(ledger, State.RETRYING).key
    ledger.redis.delete(keys.record(key))
    if rubbish:
        ledger.redis.set(keys.record(key), "rubbish")

    assert look(ledger, 15) == ResendCounts()
    assert awaited(ledger, key) is None


def test_it_lets_nothing_astray_come_up_for_ever(ledger: Ledger) -> None:
    put(ledger, State.RETRYING)
    for name in (b"\xff", b"no push"):
        ledger.redis.zadd(keys.RESENDS, {name: 0})

    assert look(ledger, 15) == ResendCounts(missed=1)
    assert ledger.redis.zcard(keys.RESENDS) == 1


def test_it_counts_once_when_two_workers_look(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(ledger, State.RETRYING)
    read = records.get_many

    def slowly(redis: Redis, wanted: Iterable[PushKey]) -> list[Push | None]:
        found = read(redis, wanted)
        monkeypatch.undo()
        resends.scan(ledger.redis, at(15))  # another worker is faster
        return found

    monkeypatch.setattr(records, "get_many", slowly)

    assert look(ledger, 15) == ResendCounts(missed=1)


def test_it_goes_on_with_more_than_one_batch(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resends, "_BATCH", 2)
    for _ in range(5):
        put(ledger, State.RETRYING)

    assert look(ledger, 15) == ResendCounts(missed=5)


def test_it_keeps_no_bucket_for_ever(ledger: Ledger) -> None:
    put(ledger, State.RETRYING)
    look(ledger, 15)

    (bucket,) = ledger.redis.keys("klarna-ack:resends:[0-9]*")
    assert 3600 < ledger.redis.ttl(bucket) <= 3 * 3600


def test_it_says_once_that_pushes_do_not_reach_us_and_once_that_they_do(ledger: Ledger) -> None:
    orders = [put(ledger, State.RETRYING).key for _ in range(5)]
    with capture_logs() as logged:
        resends.scan(ledger.redis, at(14))
        assert alarms.raised(ledger.redis) == {}
        for minutes in (15, 15.5, 25):
            resends.scan(ledger.redis, at(minutes))
        assert alarms.raised(ledger.redis) == {ALARM: at(15)}
        for key in orders[:4]:
            ledger.accept(key, at(30))
        resends.scan(ledger.redis, at(40))
        resends.scan(ledger.redis, at(40.5))

    assert alarms.raised(ledger.redis) == {}
    assert [
        (line["event"], line["missed_in_an_hour"], line["expected_in_an_hour"]) for line in logged
    ] == [("pushes.not_reaching_us", 5, 5), ("pushes.reaching_us_again", 11, 15)]
    assert (logged[0]["meaning"], logged[0]["action"]) == (ALARM.meaning, ALARM.action)


def test_it_keeps_the_alarm_while_it_hears_nothing(ledger: Ledger) -> None:
    alarms.set_off(ledger.redis, ALARM, NOW)

    resends.scan(ledger.redis, at(300))

    assert alarms.raised(ledger.redis) == {ALARM: NOW}
    assert 0 < ledger.redis.ttl(keys.alarm(ALARM)) <= 5 * 3600


def test_it_shows_in_metrics_whether_pushes_reach_us(ledger: Ledger, redis_url: str) -> None:
    seen = put(ledger, State.RETRYING).key
    for _ in range(5):
        put(ledger, State.RETRYING)
    ledger.accept(seen, at(5))
    look(ledger, 15)

    shown = make_app(load({"REDIS_URL": redis_url})).test_client().get("/metrics").text

    for line in (
        "klarna_ack_resends_expected_total 6.0",
        "klarna_ack_resends_seen_total 1.0",
        "klarna_ack_resends_missed_total 5.0",
        'klarna_ack_alarm{alarm="pushes_not_reaching_us"} 1.0',
        'klarna_ack_at_risk{under_hours="0"} 6.0',
        'klarna_ack_at_risk{under_hours="24"} 0.0',
    ):
        assert f"\n{line}\n" in shown
