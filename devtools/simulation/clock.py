"""Virtual time for real threads: they take turns, and while all of them wait, time jumps.

A thread that sleeps gives its turn to whatever comes next on the agenda: another thread whose
time has come, a task that is to begin, or a plain act, which costs no thread at all. So code
that blocks runs as it is, a day lasts as long as the work in it, and the same plan always plays
the same. Refused: threads that the clock does not know, and waiting for anything but the
clock, such as a lock that is held while its holder sleeps.
"""

import faulthandler
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count

# A small stack: there may be hundreds of threads, and none of them is deep.
_STACK_BYTES = 512 * 1024

# In real time. One step is a few calls to Redis; what takes longer waits for something else.
_STUCK_AFTER_S = 30.0

# A thread that is stuck does not end; it is a daemon.
_END_WITHIN_S = 1.0

Act = Callable[[], object]


class _Turn:
    """A thread that takes turns: it runs from when `go` is released until it gives its turn on."""

    __slots__ = ("due", "go", "task", "thread")

    def __init__(self) -> None:
        self.go = threading.Lock()
        self.go.acquire()
        self.due = -1  # the one entry of the agenda that wakes it; earlier ones are void
        self.task: Act | None = None
        self.thread: threading.Thread | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it is a thread of the pool with nothing to do."""
        return self.task is None and self.thread is not None


@dataclass(frozen=True, slots=True)
class _Task:
    run: Act


@dataclass(slots=True)
class WakeEvent:
    """What one thread waits for with `VirtualClock.wait`; set before, it ends the wait."""

    is_set: bool = False
    waiting: _Turn | None = None


class StuckError(Exception):
    """A thread keeps its turn without coming to an end: it waits for what cannot happen."""


class _Closed(BaseException):
    """Unwinds the threads that still wait when the clock is closed."""


class VirtualClock:
    """A `worker.clock.Clock`. It belongs to the thread that makes it, which moves it by sleeping.

    Whatever a task or an act raises ends the run: it is raised in the thread the clock belongs to.
    """

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._now_s = 0.0
        self._latest = -1  # of the agenda's entries
        self._agenda: list[tuple[float, int, _Turn | _Task | Act]] = []
        self._sequence = count()
        self._owner = self._current = _Turn()
        self._all: list[_Turn] = []
        self._idle: list[_Turn] = []
        self._failure: BaseException | None = None
        self._is_acting = False
        self._is_closed = False

    def now(self) -> datetime:
        """Tell the virtual time of day."""
        return self._start + timedelta(seconds=self._now_s)

    def monotonic(self) -> float:
        """Tell the virtual seconds since the start."""
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass for the calling thread; the others run meanwhile."""
        if self._is_acting:
            raise RuntimeError("an act must not sleep: start a task")
        self._wake_at(self._now_s + max(0.0, seconds), self._current)
        self._give_turn(self._current)

    def call_at(self, at_s: float, act: Act) -> None:
        """Do `act` at a moment, or now if that has passed. It must not sleep."""
        heappush(self._agenda, (max(at_s, self._now_s), next(self._sequence), act))

    def start(self, task: Act) -> None:
        """Run `task` in a thread of its own, from now on; it may sleep."""
        heappush(self._agenda, (self._now_s, next(self._sequence), _Task(task)))

    def wait(self, event: WakeEvent, timeout_s: float) -> None:
        """Sleep until the event is set, `timeout_s` at most; then it is no longer set."""
        if not event.is_set:
            event.waiting = self._current
            self.sleep(timeout_s)
            event.waiting = None
        event.is_set = False

    def set(self, event: WakeEvent) -> None:
        """Wake whoever waits for the event, after all that is due at this moment already."""
        if event.waiting and not event.is_set:
            self._wake_at(self._now_s, event.waiting)
        event.is_set = True

    def close(self) -> None:
        """End all threads; what they were at is given up."""
        self._is_closed = True
        for turn in self._all:
            turn.go.release()
            if turn.thread:
                turn.thread.join(_END_WITHIN_S)

    def _wake_at(self, at_s: float, turn: _Turn) -> None:
        turn.due = next(self._sequence)
        heappush(self._agenda, (at_s, turn.due, turn))

    def _give_turn(self, mine: _Turn) -> None:
        """Let happen what is next, until it is `mine` again; an idle thread takes the next task."""
        while True:
            at_s, number, what = heappop(self._agenda)
            self._latest = number
            if isinstance(what, _Turn):
                if what.due != number:
                    continue
                self._now_s = at_s
                if what is not mine:
                    self._hand_over(mine, what)
                return
            self._now_s = at_s
            if isinstance(what, _Task):
                self._begin(mine, what.run)
                return
            self._do(mine, what)

    def _begin(self, mine: _Turn, task: Act) -> None:
        if mine.is_idle:
            mine.task = task
            return
        other = self._idle.pop() if self._idle else self._new_thread()
        other.task = task
        self._hand_over(mine, other)

    def _do(self, mine: _Turn, act: Act) -> None:
        self._is_acting = True
        try:
            act()
        except BaseException as failure:  # noqa: BLE001 - the code that sleeps here is not to catch it
            self._fail(mine, failure)
        self._is_acting = False

    def _hand_over(self, mine: _Turn, other: _Turn) -> None:
        if mine.is_idle:
            self._idle.append(mine)
        self._current = other
        other.go.release()
        if mine is self._owner:
            self._await_my_turn()
        else:
            mine.go.acquire()
        if self._is_closed:
            raise _Closed

    def _await_my_turn(self) -> None:
        """Wait for the owner's turn, and see to it that the others go on meanwhile."""
        seen = self._latest
        while not self._owner.go.acquire(timeout=_STUCK_AFTER_S):
            if seen == self._latest:
                faulthandler.dump_traceback()
                raise StuckError(f"nothing went on for {_STUCK_AFTER_S:g} s; see the threads above")
            seen = self._latest
        if self._failure:
            raise self._failure

    def _fail(self, mine: _Turn, failure: BaseException) -> None:
        if mine is self._owner:
            raise failure
        self._failure = failure
        self._hand_over(mine, self._owner)

    def _new_thread(self) -> _Turn:
        turn = _Turn()
        self._all.append(turn)
        before = threading.stack_size(_STACK_BYTES)
        turn.thread = threading.Thread(target=self._serve, args=[turn], daemon=True)
        turn.thread.start()
        threading.stack_size(before)
        return turn

    def _serve(self, mine: _Turn) -> None:
        mine.go.acquire()
        try:
            while not self._is_closed:
                try:
                    if mine.task:
                        mine.task()
                except Exception as failure:  # noqa: BLE001 - raised where the clock belongs to
                    self._fail(mine, failure)
                mine.task = None
                self._give_turn(mine)
        except _Closed:
            return
