from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.clock import MovableClock, iso

_START_S = 1_700_000_000.0


class Ticks:
    """Real time, moved by hand."""

    def __init__(self) -> None:
        self.s = 50.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def clock(ticks: Ticks) -> MovableClock:
    return MovableClock(lambda: _START_S, ticks)


def test_it_runs_as_fast_as_real_time(clock: MovableClock, ticks: Ticks) -> None:
    ticks.s += 7

    assert (clock.now_s(), clock.speed) == (_START_S + 7, 1)


def test_it_jumps_and_runs_on(clock: MovableClock, ticks: Ticks) -> None:
    clock.advance(3600)
    ticks.s += 1

    assert clock.now_s() == _START_S + 3601


def test_it_keeps_its_time_when_its_speed_changes(clock: MovableClock, ticks: Ticks) -> None:
    ticks.s += 10
    clock.run_at(60)
    ticks.s += 2
    clock.advance(5)
    ticks.s += 1

    assert (clock.now_s(), clock.speed) == (_START_S + 10 + 120 + 5 + 60, 60)


def test_it_stands_still_at_speed_0(clock: MovableClock, ticks: Ticks) -> None:
    clock.run_at(0)
    ticks.s += 1000

    assert clock.now_s() == _START_S


@pytest.mark.parametrize(
    ("speed", "at_s", "real_s"),
    [
        (1, _START_S + 30, 30),
        (60, _START_S + 30, 0.5),
        (1, _START_S, 0),
        (1, _START_S - 9, 0),
        (0, _START_S - 9, 0),
        (0, _START_S + 30, None),
    ],
)
def test_it_says_how_long_to_wait_really(
    clock: MovableClock, speed: float, at_s: float, real_s: float | None
) -> None:
    clock.run_at(speed)

    assert clock.real_s_until(at_s) == real_s


def test_it_refuses_to_go_back(clock: MovableClock) -> None:
    with pytest.raises(ValueError, match="only moves forward"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="only moves forward"):
        clock.run_at(-1)

    assert (clock.now_s(), clock.speed) == (_START_S, 1)


def test_it_shows_real_time_again_after_a_reset(clock: MovableClock) -> None:
    clock.advance(99)
    clock.run_at(5)

    clock.reset()

    assert (clock.now_s(), clock.speed) == (_START_S, 1)


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.tuples(st.sampled_from(["wait", "advance", "speed"]), st.floats(0, 1e5))))
def test_it_never_goes_back_whatever_is_done_to_it(moves: list[tuple[str, float]]) -> None:
    ticks = Ticks()
    clock = MovableClock(lambda: _START_S, ticks)
    seen = [clock.now_s()]

    for move, amount in moves:
        if move == "wait":
            ticks.s += amount
        elif move == "advance":
            clock.advance(amount)
        else:
            clock.run_at(amount)
        seen.append(clock.now_s())

    assert all(earlier <= later for earlier, later in pairwise(seen))


def test_it_writes_time_as_klarna_does() -> None:
    assert iso(1_598_270_258.25) == "2020-08-24T11:57:38.250Z"
    assert iso(None) is None
