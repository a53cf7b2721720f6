"""The concurrent worker: many attempts at a time, in threads, over one queue.

An attempt is two HTTP calls, so it waits rather than computes; RQ's own worker would fork for
each. One thread claims jobs and begins attempts, many make them, one settles them. It rides out
a Redis that is away, and ends on SIGTERM once what it has under way is settled.
"""

import queue
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from redis.exceptions import RedisError

from pushes import log
from pushes.store.server import rights
from pushes.store.server.rights import Role
from worker.alone import AloneProcess
from worker.attempt.attempt import Attempt, Ending
from worker.claiming.claims import Claim
from worker.periodic.heartbeat import Heartbeat
from worker.periodic.loops import Loop
from worker.periodic.tasks import PeriodicTask
from worker.wiring import Parts

_log = log.get(__name__)

# One round trip begins, or settles, up to this many attempts; with more, the first would wait.
_BATCH = 32

# With fewer than this, a round trip waits a moment for more: it costs nearly as much for one.
_FEW = 8
_GATHER_S = 0.005

# So many attempts are begun before a thread is free to make them, so that none waits meanwhile: a
# part of the threads, and no more, for whoever else has a free thread could make them now.
_AHEAD_SHARE = 4
_AHEAD_AT_MOST = 16

# How long one wait for work blocks: also how soon a stop is noticed by an idle worker.
_BLOCK_S = 1.0

# How often a burst looks whether all is done while its last attempts are under way.
_BURST_LOOKS_S = 0.01

# How often the worker shows that it lives: a third of what it promises.
_BEAT_EVERY_S = 5.0

# How often it is looked whether an order waits for an attempt alone.
_ALONE_EVERY_S = 1.0

# Two calls may take 30 s at the very worst, supervisors kill sooner: what is not done this long
# after the signal is put back.
_DRAIN_S = 16.0

# Enough for Redis to hear that the worker leaves; when it does not, everything lapses by itself.
_DEREGISTER_S = 2.0


# sysexits.h: EX_SOFTWARE. A supervisor is to start the worker again.
EXIT_SOFTWARE = 70


class Runner:
    """One worker process. `work` blocks until stopped; signals stop it."""

    def __init__(
        self,
        parts: Parts,
        heartbeat: Heartbeat,
        alone: AloneProcess,
        concurrency: int,
        reload: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._heartbeat = heartbeat
        self._alone = alone
        self._concurrency = concurrency
        self._reload = reload
        ahead = min(concurrency // _AHEAD_SHARE, _AHEAD_AT_MOST)
        self._few = min(_FEW, ahead)
        self._slots = threading.Semaphore(concurrency + ahead)
        self._begun: queue.SimpleQueue[Attempt] = queue.SimpleQueue()
        # When it is full, slots stay taken.
        self._ended: queue.Queue[Ending] = queue.Queue(concurrency)
        self._in_hand: list[Claim] = []
        self._stopping = threading.Event()
        self._at_once = threading.Event()
        self._loops: list[Loop] = []
        self._reloading = threading.Event()
        self._drain_until = 0.0
        self._exit_code = 0

    def work(self, *, burst: bool = False) -> int:
        """Make attempts until stopped, or with `burst` until nothing is waiting.

        Return the exit code: 0, or another when a thread of this process ended; then what is under
        way is put back at once, and the supervisor is to start another process.

        SIGTERM or SIGINT: take no more, settle what is under way, at most 16 s. A second one:
        put back what is under way at once. SIGHUP: read the accounts again.
        """
        signal.signal(signal.SIGHUP, lambda *_: self._reloading.set())
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        threading.excepthook = self._thread_ended
        for first in (self._look_at_rights, self._be_born):
            if not self._await_redis(first):
                return self._exit_code
        _log.info("worker.started", worker=self._heartbeat.name, concurrency=self._concurrency)
        beat = PeriodicTask("heartbeat", _BEAT_EVERY_S, self._beat)
        alone = PeriodicTask("alone", _ALONE_EVERY_S, self._start_alone)
        self._loops = [Loop(one) for one in [beat, alone, *map(self._by_clock, self._parts.tasks)]]
        for loop in self._loops:
            loop.start()
        for number in range(self._concurrency):
            _start(self._make_attempts, f"attempt-{number}")
        _start(self._settle_attempts, "settle")
        self._serve(burst=burst)
        self._drain()
        self._leave()
        return self._exit_code

    def _be_born(self) -> None:
        self._heartbeat.compare_clocks()
        self._heartbeat.register_birth()  # type: ignore[no-untyped-call]  # RQ gives it no types

    def _by_clock(self, task: PeriodicTask) -> PeriodicTask:
        """Do a task only while our clock is right, if it goes by that."""
        if not task.by_our_clock:
            return task
        return replace(task, act=lambda: None if self._heartbeat.is_skewed else task.act())

    def _thread_ended(self, ended: threading.ExceptHookArgs) -> None:
        """Stop: without one of its threads this process would only seem to work."""
        self._exit_code = EXIT_SOFTWARE
        self._at_once.set()
        self._stopping.set()
        _log.error(
            "worker.thread_ended",
            thread=ended.thread.name if ended.thread else None,
            meaning="the worker ends and puts back what it has under way; no push is lost",
            action="report this with the traceback; the supervisor starts another worker",
            exc_info=(ended.exc_type, ended.exc_value, ended.exc_traceback),
        )

    def _look_at_rights(self) -> None:
        rights.log_missing_rights(self._heartbeat.connection, Role.WORKER)

    def _stop(self, _signal: int, _frame: object) -> None:
        if self._stopping.is_set():
            self._at_once.set()
        else:
            self._drain_until = time.monotonic() + _DRAIN_S
        self._stopping.set()

    def _serve(self, *, burst: bool) -> None:
        while not self._stopping.is_set():
            if self._reloading.is_set():
                self._reloading.clear()
                self._reload()
            free = self._acquire_slots()
            begun: list[Attempt] = []
            is_over = False
            try:
                if self._heartbeat.is_suspended or self._heartbeat.is_skewed:
                    self._stopping.wait(_BLOCK_S)
                elif free:
                    begun, is_over = self._begin(free, burst=burst)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next push is not to blame
                self._ride_out(error)
            for attempt in begun:
                self._begun.put(attempt)
            for _ in range(free - len(begun)):
                self._slots.release()
            if is_over:
                return

    def _begin(self, free: int, *, burst: bool) -> tuple[list[Attempt], bool]:
        """Claim and begin as many as are free; say also whether a burst is over.

        What was claimed stays in hand while Redis is away.
        """
        claims, starter = self._parts.claims, self._parts.starter
        if self._in_hand:
            self._in_hand = claims.reread(self._in_hand)
        else:
            claimed = claims.claim(free)
            if not claimed.claims:
                if burst:
                    return [], claimed.is_idle and self._is_over()
                claims.wait(claimed, _BLOCK_S, self._stopping)
                return [], False
            self._in_hand = claimed.claims
        begun = starter.start(self._in_hand)
        self._in_hand = []
        return begun, False

    def _acquire_slots(self) -> int:
        if not self._slots.acquire(timeout=_BLOCK_S):
            return 0
        acquired = 1 + self._acquire_free(_BATCH - 1)
        if acquired < self._few:
            time.sleep(_GATHER_S)
            acquired += self._acquire_free(_BATCH - acquired)
        return acquired

    def _acquire_free(self, at_most: int) -> int:
        """Take slots that are free now, at most so many; say how many."""
        acquired = 0
        while acquired < at_most and self._slots.acquire(blocking=False):
            acquired += 1
        return acquired

    def _is_over(self) -> bool:
        """Whether a burst is over: nothing under way, nothing due. Waits a moment if it is not."""
        is_due = any(task.act() for task in self._parts.tasks if task.queues)
        if self._parts.under_way.attempts() or is_due or self._start_alone():
            self._stopping.wait(_BURST_LOOKS_S)
            return False
        return True

    def _make_attempts(self) -> None:
        under_way, acknowledger = self._parts.under_way, self._parts.acknowledger
        while True:
            self._ended.put(acknowledger.run(under_way.take(self._begun.get())))
            self._slots.release()

    def _settle_attempts(self) -> None:
        while True:
            ended = [self._ended.get()]
            if self._ended.qsize() < self._few:
                time.sleep(_GATHER_S)
            while len(ended) < _BATCH and not self._ended.empty():
                ended.append(self._ended.get())
            self._parts.settler.settle(ended)

    def _beat(self) -> None:
        under_way, redis_health = self._parts.under_way, self._parts.redis_health
        try:
            succeeded = {loop.name: at for loop in self._loops if (at := loop.succeeded_at)}
            # What is begun ahead, or is being settled, is no attempt that is made.
            busy = min(len(under_way.attempts()), self._concurrency)
            self._heartbeat.beat(busy, under_way.done, succeeded, self._parts.serving.key)
        except RedisError as error:
            redis_health.note_away(error)
        else:
            redis_health.note_there()

    def _start_alone(self) -> bool:
        return not self._heartbeat.is_skewed and self._alone.start_when_due(datetime.now(UTC))

    def _drain(self) -> None:
        """Wait for what is under way; put back what is not done in time, or at a second signal."""
        while self._parts.under_way.attempts() and time.monotonic() < self._drain_until:
            if self._at_once.wait(0.05):
                break

    def _leave(self) -> None:
        """Put back what is left and deregister, as far as Redis lets us in a moment."""
        with suppress(queue.Empty):  # nobody is to make what is put back
            while True:
                self._begun.get_nowait()
        for loop in self._loops:
            loop.stop()
        self._alone.stop()
        _start(self._deregister, "deregister").join(_DEREGISTER_S)
        done = self._parts.under_way.done
        _log.info("worker.stopped", worker=self._heartbeat.name, attempts=done)

    def _deregister(self) -> None:
        try:
            self._parts.under_way.release()
            self._heartbeat.beat(0, self._parts.under_way.done)
            self._heartbeat.register_death()  # type: ignore[no-untyped-call]
        except RedisError as error:
            _log.warning(
                "worker.deregister_failed",
                error=type(error).__name__,
                meaning="leases and the worker's entry lapse by themselves; no push is lost",
            )

    def _await_redis(self, first: Callable[[], None]) -> bool:
        """Do what needs Redis first, as often as it takes. False when told to stop meanwhile."""
        while not self._stopping.is_set():
            try:
                first()
            except RedisError as error:
                self._ride_out(error)
            else:
                self._parts.redis_health.note_there()
                return True
        return False

    def _ride_out(self, error: Exception) -> None:
        if isinstance(error, RedisError):
            self._parts.redis_health.note_away(error)
        else:
            _log.error(
                "worker.failed_here",
                meaning="no push is lost: what was claimed is put back in a few seconds",
                action="report this with the traceback",
                exc_info=error,
            )
        self._stopping.wait(_BLOCK_S)


def _start(target: Callable[[], None], name: str) -> threading.Thread:
    """Run something in a thread that does not keep the process alive."""
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread
