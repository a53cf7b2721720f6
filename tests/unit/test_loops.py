import threading

import pytest
from redis.exceptions import ConnectionError as RedisAwayError
from redis.exceptions import RedisError

from worker.periodic.loops import Loop
from worker.periodic.tasks import PeriodicTask

PATIENCE_S = 10


@pytest.mark.parametrize("failure", [RedisAwayError("away"), ValueError("a bug")])
def test_it_goes_on_after_a_failure(failure: Exception) -> None:
    seen: list[str] = []
    done = threading.Event()

    def task() -> None:
        seen.append("called")
        if len(seen) < 3:
            raise failure
        done.set()

    loop = Loop(PeriodicTask("test", 0.001, task))
    loop.start()

    assert done.wait(PATIENCE_S)
    loop.stop()


def test_it_ends_when_told_to() -> None:
    called = threading.Event()
    ended = threading.Event()

    def task() -> None:
        called.set()
        ended.wait(PATIENCE_S)
        raise RedisError

    loop = Loop(PeriodicTask("test", 3600, task))
    loop.start()
    assert called.wait(PATIENCE_S)

    loop.stop()
    ended.set()

    loop._thread.join(PATIENCE_S)  # noqa: SLF001 - nobody else waits for it
    assert not loop._thread.is_alive()  # noqa: SLF001 - as above
