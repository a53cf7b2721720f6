"""One worker process on the virtual clock: takes, attempts, settles, and does its periodic tasks.

It does what `worker.runner` does, without its threads for taking and settling: those never wait
for virtual time. What they wait for in life, a round trip to Redis, passes as virtual time here.
"""

from collections.abc import Callable
from functools import partial

from devtools.simulation import program
from devtools.simulation.clock import VirtualClock, WakeEvent
from devtools.simulation.program import SimulatedProcess
from worker.attempt.attempt import Attempt, Ending
from worker.periodic.tasks import PeriodicTask

# What ends within this time is settled together, as in life.
_ROUND_TRIP_S = 0.002


class SimulatedWorker:
    """Works from when it is started until the clock is closed."""

    def __init__(
        self, process: SimulatedProcess, clock: VirtualClock, wake_all: Callable[[], None]
    ) -> None:
        self.process = process
        self._clock = clock
        self._wake_all = wake_all
        self._wake_event = WakeEvent()
        self._interval_factor = 1.0
        self._free = program.CONCURRENCY
        self._ended: list[Ending] = []

    def start(self, offset_s: float, interval_factor: float) -> None:
        """Begin; its periodic tasks from `offset_s` on, `interval_factor` times less often."""
        self._interval_factor = interval_factor
        self._clock.start(self._work)
        for task in self.process.tasks:
            self._clock.call_at(self._clock.monotonic() + offset_s, partial(self._do, task))

    @property
    def is_full(self) -> bool:
        """Whether it can take no more for now; it looks by itself when it can again."""
        return not self._free

    def wake(self) -> None:
        """Let it look at the queue: there may be something."""
        self._clock.set(self._wake_event)

    def _work(self) -> None:
        while True:
            if self.is_full:
                self._clock.wait(self._wake_event, program.IDLE_S)
                continue
            taken = self.process.take(min(self._free, program.BATCH))
            self._free -= len(taken.attempts)
            for attempt in taken.attempts:
                self._clock.start(partial(self._attempt, attempt))
            self._clock.sleep(_ROUND_TRIP_S)
            if taken.wait_s and not self.is_full:
                self._clock.wait(self._wake_event, taken.wait_s)

    def _attempt(self, attempt: Attempt) -> None:
        ending = self.process.run(attempt)
        self._ended.append(ending)
        if len(self._ended) == 1:
            self._clock.call_at(self._clock.monotonic() + _ROUND_TRIP_S, self._settle)

    def _settle(self) -> None:
        endings, self._ended = self._ended, []
        self.process.settle(endings)
        if self.is_full:
            self.wake()
        self._free += len(endings)

    def _do(self, task: PeriodicTask) -> None:
        if task.act() and task.queues:
            self._wake_all()
        next_s = self._clock.monotonic() + task.every_s * self._interval_factor
        self._clock.call_at(next_s, partial(self._do, task))
