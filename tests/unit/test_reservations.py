"""Threads that want a slot at the same time: one asks for all, and each is woken once."""

from concurrent.futures import ThreadPoolExecutor

from tests.sandboxes import wait_for
from worker.claiming.quota import Reservation, Reservations

THREADS = 20


def test_one_thread_asks_for_all_that_came_meanwhile() -> None:
    reservations, first = Reservations(), Reservation()
    others = [Reservation() for _ in range(THREADS)]
    reservations.join(first)
    served = reservations.take()
    with ThreadPoolExecutor(THREADS) as pool:
        joined = [pool.submit(reservations.join, one) for one in others]
        wait_for(lambda: len(reservations) == THREADS)
        reservations.end([*served, *reservations.take()])
        for one in joined:
            one.result(timeout=10)

    assert served == [first]
    assert all(one.is_done for one in (first, *others))


def test_who_came_while_another_asked_asks_next() -> None:
    reservations, first, second = Reservations(), Reservation(), Reservation()
    reservations.join(first)
    served = reservations.take()
    with ThreadPoolExecutor(1) as pool:
        joined = pool.submit(reservations.join, second)
        wait_for(lambda: len(reservations))
        reservations.end(served)
        joined.result(timeout=10)

    assert (first.is_done, second.is_done) == (True, False)
    assert reservations.take() == [second]
