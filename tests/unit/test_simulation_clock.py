import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial

import pytest

from devtools.local.seeds import seeded
from devtools.simulation import clock as clock_module
from devtools.simulation.clock import StuckError, VirtualClock, WakeEvent
from tests.builders import NOW


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    with closing(VirtualClock(NOW)) as clock:
        yield clock


def test_it_passes_a_day_in_no_time(clock: VirtualClock) -> None:
    clock.sleep(86_400)

    assert (clock.now(), clock.monotonic()) == (NOW + timedelta(days=1), 86_400)


def test_it_lets_threads_sleep_side_by_side(clock: VirtualClock) -> None:
    seen: list[tuple[str, float]] = []

    def task(name: str, pause_s: float) -> Callable[[], None]:
        def run() -> None:
            for _ in range(3):
                clock.sleep(pause_s)
                seen.append((name, clock.monotonic()))

        return run

    clock.start(task("slow", 3))
    clock.start(task("fast", 2))
    clock.sleep(100)

    assert seen == [("fast", 2), ("slow", 3), ("fast", 4), ("slow", 6), ("fast", 6), ("slow", 9)]
    assert clock.monotonic() == 100


def test_it_does_acts_when_they_are_due_and_at_once_when_late(clock: VirtualClock) -> None:
    seen: list[tuple[str, float]] = []

    def note(name: str) -> None:
        seen.append((name, clock.monotonic()))

    clock.sleep(5)
    for name, at_s in (("later", 9), ("overdue", 1), ("first", 7), ("second", 7)):
        clock.call_at(at_s, partial(note, name))

    clock.sleep(5)

    assert seen == [("overdue", 5), ("first", 7), ("second", 7), ("later", 9)]


def test_it_never_lets_two_run_at_once_and_plays_the_same_again() -> None:
    def play() -> list[int]:
        order: list[int] = []
        running = threading.Lock()
        random = seeded("1", "pauses")

        def task(number: int) -> None:
            for _ in range(20):
                assert running.acquire(blocking=False)
                order.append(number)
                running.release()
                mine.sleep(random.choice([0, 0.5, 1]))

        with closing(VirtualClock(NOW)) as mine:
            for number in range(10):
                mine.start(partial(task, number))
            mine.sleep(60)
        return order

    first = play()
    assert len(first) == 200
    assert first == play()


def test_it_uses_its_threads_again(clock: VirtualClock) -> None:
    before = threading.active_count()
    ended: list[float] = []

    def task() -> None:
        clock.sleep(1)
        ended.append(clock.monotonic())

    for number in range(50):
        clock.call_at(number * 10, lambda: clock.start(task))
    clock.sleep(1000)

    assert ended == [number * 10 + 1 for number in range(50)]
    assert threading.active_count() == before + 1


def test_it_wakes_who_waits_for_an_event(clock: VirtualClock) -> None:
    event, woken = WakeEvent(), list[float]()

    def task() -> None:
        while True:
            clock.wait(event, 10)
            woken.append(clock.monotonic())

    clock.start(task)
    for at_s in (3, 3, 15):
        clock.call_at(at_s, lambda: clock.set(event))
    clock.sleep(30)

    assert woken == [3, 13, 15, 25]


def test_it_does_not_wait_for_an_event_that_was_set_before(clock: VirtualClock) -> None:
    event = WakeEvent()
    clock.set(event)

    clock.wait(event, 10)
    first_at = clock.monotonic()
    clock.wait(event, 10)

    assert (first_at, clock.monotonic()) == (0, 10)


class BrokenError(Exception):
    pass


def fail() -> None:
    raise BrokenError


@pytest.mark.parametrize("by", ["task", "act", "act while a task sleeps"])
def test_it_raises_what_went_wrong_where_it_belongs_to(clock: VirtualClock, by: str) -> None:
    def swallowing() -> None:
        try:
            clock.sleep(10)
        except Exception:  # noqa: BLE001 - as production code does around an attempt
            pytest.fail("the failure was raised in a thread that had nothing to do with it")

    if by == "task":
        clock.start(fail)
    else:
        if by != "act":
            clock.start(swallowing)
        clock.call_at(5, fail)

    with pytest.raises(BrokenError):
        clock.sleep(100)


def test_it_refuses_to_let_an_act_sleep(clock: VirtualClock) -> None:
    clock.call_at(1, lambda: clock.sleep(1))

    with pytest.raises(RuntimeError, match="must not sleep"):
        clock.sleep(2)


def test_it_says_when_a_thread_waits_for_anything_else(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_module, "_STUCK_AFTER_S", 0.1)
    never = threading.Event()
    clock.start(lambda: never.wait(10))

    with pytest.raises(StuckError):
        clock.sleep(100)
    never.set()


def test_it_ends_every_thread_when_it_is_closed() -> None:
    before = set(threading.enumerate())
    clock = VirtualClock(NOW)
    for _ in range(3):
        clock.start(lambda: clock.sleep(1000))
    clock.start(lambda: None)
    clock.sleep(1)
    threads = set(threading.enumerate()) - before
    assert len(threads) >= 3

    clock.close()

    assert not any(thread.is_alive() for thread in threads)
