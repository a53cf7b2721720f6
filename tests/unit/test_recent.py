"""An overview that takes long to read is read rarely, and nobody waits for somebody else's."""

import threading
from typing import cast

from pushes.read.overview import Overview
from service.recent import RecentOverview


class SlowReading:
    """Takes as long as the test says, by the test's clock, and counts."""

    def __init__(self, takes_s: float) -> None:
        self.time = 1000.0
        self.takes_s = takes_s
        self.times = 0
        self.recent = RecentOverview(self, lambda: self.time)

    def __call__(self) -> Overview:
        self.times += 1
        self.time += self.takes_s
        return cast(Overview, self.times)

    def at(self, seconds: float) -> int:
        """Which reading somebody gets so long after the test began."""
        self.time = max(self.time, 1000.0 + seconds)
        return cast(int, self.recent.read())


def test_it_reads_for_each_what_is_quick() -> None:
    reading = SlowReading(0.04)
    assert [reading.at(0), reading.at(0), reading.at(0)] == [1, 2, 3]


def test_it_spends_a_twentieth_of_the_time_on_what_is_slow() -> None:
    reading = SlowReading(0.5)
    assert [reading.at(0), reading.at(1), reading.at(9.9)] == [1, 1, 1]
    assert [reading.at(10.1), reading.at(20)] == [2, 2]


def test_it_lets_nobody_wait_for_the_reading_of_another() -> None:
    begun, go_on = threading.Event(), threading.Event()
    found: list[int] = []

    def read() -> Overview:
        if found:
            begun.set()
            assert go_on.wait(10)
        return cast(Overview, len(found) + 1)

    recent = RecentOverview(read)
    found.append(cast(int, recent.read()))
    reader = threading.Thread(target=lambda: found.append(cast(int, recent.read())))
    reader.start()
    assert begun.wait(10)
    assert cast(int, recent.read()) == 1
    go_on.set()
    reader.join()
    assert found == [1, 2]
