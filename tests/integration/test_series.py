"""Samples of what was counted, in a real Redis: taken once, bounded, and read back as steps."""

from datetime import datetime, timedelta

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from pushes.model import State
from pushes.read.lately import series as reading
from pushes.read.lately.series import Series
from pushes.read.unreadable import Unreadable
from pushes.store import keys
from pushes.store.counted import series
from pushes.store.counted.series import Range
from pushes.store.ledger import Ledger
from tests.builders import NOW, a_key, put
from worker.periodic.samples import Samples

MINUTE = timedelta(minutes=1)
NO_FLOAT = "could not convert string to float: b'yesterday'"


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def scan(ledger: Ledger, at: datetime) -> None:
    Samples(ledger.redis, lambda: at).scan()


def read(ledger: Ledger, wanted: Range, now: datetime) -> Series:
    unreadable = Unreadable()
    found = reading.read(ledger.redis, wanted, now, unreadable)
    assert unreadable.sentences == []
    return found


def numbers(found: Series) -> list[tuple[int, int, int]]:
    return [(step.pushes, step.acknowledged, step.dead) for step in found.steps]


def test_it_shows_what_happened_since_the_samples(ledger: Ledger) -> None:
    scan(ledger, NOW)
    put(ledger, State.ACKNOWLEDGED)
    scan(ledger, NOW + MINUTE)
    put(ledger, State.DEAD)
    ledger.accept(a_key(), NOW + MINUTE)

    found = read(ledger, Range.HOUR, NOW + 2 * MINUTE)

    assert numbers(found) == [(1, 1, 0), (2, 0, 1)]
    assert [(step.since - NOW, step.until - NOW) for step in found.steps] == [
        (0 * MINUTE, MINUTE),
        (MINUTE, 2 * MINUTE),
    ]
    assert [step.oldest_waiting_s for step in found.steps] == [None, 60.0]
    assert numbers(read(ledger, Range.WEEK, NOW + 2 * MINUTE)) == [(3, 1, 1)]


def test_it_joins_the_last_seconds_with_the_minute_before(ledger: Ledger) -> None:
    for minute in range(3):
        scan(ledger, NOW + minute * MINUTE)

    found = read(ledger, Range.HOUR, NOW + 2 * MINUTE + timedelta(seconds=5))

    assert [step.minutes for step in found.steps] == [1.0, pytest.approx(65 / 60)]


def test_it_takes_one_sample_a_step_whoever_looks(ledger: Ledger) -> None:
    for second in (3, 13, 23):
        scan(ledger, NOW + timedelta(seconds=second))
    late = series.present(ledger.redis, NOW + timedelta(seconds=4), None)
    series.take(ledger.redis, list(Range), late)  # it was due when this worker looked

    assert [ledger.redis.xlen(keys.series(one)) for one in Range] == [1, 1, 1]


def test_it_keeps_no_more_than_the_range_has_steps(ledger: Ledger) -> None:
    for minute in range(200):
        scan(ledger, NOW + minute * MINUTE)

    assert [ledger.redis.xlen(keys.series(one)) for one in Range] == [62, 20, 4]
    now = NOW + 199 * MINUTE + timedelta(seconds=40)
    hour = read(ledger, Range.HOUR, now)
    assert len(hour.steps) == 61
    assert hour.steps[0].since <= hour.since < hour.steps[0].until


def test_it_has_no_steps_before_the_first_sample(ledger: Ledger) -> None:
    put(ledger, State.ACKNOWLEDGED)

    assert read(ledger, Range.DAY, NOW) == Series(Range.DAY, NOW)


def test_it_takes_what_is_no_sample_for_unreadable(ledger: Ledger) -> None:
    ledger.redis.set(keys.series("hour"), "somebody else's")
    ledger.redis.xadd(keys.series("day"), {"at": "yesterday"}, id=Range.DAY.place(NOW))

    unreadable = Unreadable()
    found = [reading.read(ledger.redis, one, NOW, unreadable).steps for one in Range]

    assert found == [(), (), ()]
    assert unreadable.sentences == [
        "klarna-ack:series:hour is a key of a wrong type",
        f"klarna-ack:series:day cannot be read (ValueError: {NO_FLOAT})",
    ]


def test_it_says_that_somebody_else_wrote_a_range(ledger: Ledger) -> None:
    ledger.redis.set(keys.series("hour"), "somebody else's")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        scan(ledger, NOW)
