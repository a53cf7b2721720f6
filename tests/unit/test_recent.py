"""An overview that takes long to read is read rarely, and nobody waits for somebody else's."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import cast

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from pushes.read.overview import Overview
from service.recent import RecentOverview
from service.soon import Soon

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class NumberedReading:
    """Stands for an overview."""

    number: int
    at: datetime


class AtOnce(Soon):
    """Does in the thread that asks what another one would do a moment later."""

    def ask(self) -> None:
        self._act()


class SlowReading:
    """Takes as long as the test says, by the test's clock, and counts."""

    def __init__(self, takes_s: float) -> None:
        self.time = 1000.0
        self.takes_s = takes_s
        self.times = 0
        self.is_away = False
        self.recent = RecentOverview(self, lambda: self.time, AtOnce)

    def __call__(self) -> Overview:
        self.times += 1
        if self.is_away:
            raise RedisConnectionError
        at = LONG_AGO + timedelta(seconds=self.time)
        self.time += self.takes_s
        return cast(Overview, NumberedReading(self.times, at))

    def at(self, seconds: float, since: datetime | None = None) -> int:
        """Which reading somebody gets so long after the test began."""
        self.time = max(self.time, 1000.0 + seconds)
        return cast(NumberedReading, self.recent.read(since)).number


def test_it_reads_for_each_what_is_quick() -> None:
    reading = SlowReading(0.04)
    assert [reading.at(0), reading.at(0), reading.at(0)] == [1, 2, 3]


def test_it_spends_a_twentieth_of_the_time_on_what_is_slow() -> None:
    reading = SlowReading(0.5)
    assert [reading.at(0), reading.at(1), reading.at(9.9)] == [1, 1, 1]
    assert reading.times == 1


def test_it_reads_again_behind_the_back_of_who_asks() -> None:
    reading = SlowReading(0.5)
    assert [reading.at(0), reading.at(10.1)] == [1, 1]
    assert [reading.at(10.7), reading.times] == [2, 2]


def test_it_shows_nobody_what_is_old() -> None:
    reading = SlowReading(0.5)
    assert [reading.at(0), reading.at(15.1), reading.times] == [1, 2, 2]


def test_it_shows_a_change_to_who_has_made_it() -> None:
    reading = SlowReading(0.5)
    assert reading.at(0) == 1
    changed_at = LONG_AGO + timedelta(seconds=1001)
    assert [reading.at(2, changed_at), reading.at(3, changed_at), reading.at(4)] == [2, 2, 2]


def test_it_shows_a_change_in_this_process_to_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = SlowReading(0.5)
    monkeypatch.setattr("service.recent.datetime", FixedClock(LONG_AGO + timedelta(seconds=1001)))
    assert reading.at(0) == 1
    reading.recent.note_change()
    assert [reading.at(2), reading.at(3)] == [2, 2]


@dataclass(frozen=True)
class FixedClock:
    """Stands for `datetime`, at one moment."""

    moment: datetime

    def now(self, _zone: object) -> datetime:
        return self.moment


def test_it_shows_the_last_reading_for_a_while_when_redis_is_away() -> None:
    reading = SlowReading(0.5)
    assert reading.at(0) == 1
    reading.is_away = True
    assert reading.at(10.1) == 1
    with pytest.raises(RedisConnectionError):
        reading.at(15.1)


@pytest.mark.parametrize("is_away", [False, True])
def test_it_reads_once_for_all_who_wait(*, is_away: bool) -> None:
    """One has begun before the others asked, perhaps; the next one's answer is theirs, too."""
    all_asked = threading.Event()
    found: list[Overview | RedisConnectionError] = []
    times = 0

    def read() -> Overview:
        nonlocal times
        times += 1
        assert all_asked.wait(10)
        if is_away:
            raise RedisConnectionError
        return cast(Overview, NumberedReading(times, datetime.now(UTC)))

    ticks = count()

    def clock() -> float:
        """Each looks twice before it waits for the others, and who reads once more."""
        if (tick := next(ticks)) == 2 * 4:
            all_asked.set()
        return float(tick)

    recent = RecentOverview(read, clock)

    def ask() -> None:
        try:
            found.append(recent.read())
        except RedisConnectionError as error:
            found.append(error)

    readers = [threading.Thread(target=ask) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert (len(found), times <= 2) == (4, True)
    assert [isinstance(each, RedisConnectionError) for each in found] == [is_away] * 4
