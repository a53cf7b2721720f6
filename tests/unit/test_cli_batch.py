from cli.batch.run import Pace


class FakeClock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_it_does_not_wait_without_a_rate() -> None:
    clock = FakeClock()
    pace = Pace(None, clock, clock.sleep)
    for _ in range(3):
        pace.wait()
    assert clock.slept == []


def test_it_lets_the_first_go_at_once_and_spaces_the_others() -> None:
    clock = FakeClock()
    pace = Pace(4, clock, clock.sleep)
    for _ in range(4):
        pace.wait()
    assert clock.slept == [0.25, 0.25, 0.25]


def test_it_counts_the_time_that_the_work_itself_takes() -> None:
    clock = FakeClock()
    pace = Pace(4, clock, clock.sleep)
    pace.wait()
    clock.now += 0.125
    pace.wait()
    assert clock.slept == [0.125]


def test_it_does_not_catch_up_with_a_burst_after_a_pause() -> None:
    clock = FakeClock()
    pace = Pace(4, clock, clock.sleep)
    pace.wait()
    clock.now += 10
    pace.wait()
    pace.wait()
    assert clock.slept == [0.25]


def test_it_takes_less_than_one_a_second() -> None:
    clock = FakeClock()
    pace = Pace(0.5, clock, clock.sleep)
    pace.wait()
    pace.wait()
    assert clock.slept == [2.0]
