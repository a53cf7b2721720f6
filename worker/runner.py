"""The concurrent worker: many attempts at a time, in threads, over one queue.

An attempt is two HTTP calls, so it waits rather than computes; RQ's own worker would fork for
each. One thread takes jobs and begins attempts, many make them, one settles them. It rides out
a Redis that is away, and ends on SIGTERM once what it has under way is settled.
"""

import signal
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from redis.exceptions import RedisError

from pushes import log
from pushes.accounts.holds import Holds
from pushes.store.ledger import Ledger
from worker.attempt.account_health import AccountWatch
from worker.attempt.acknowledge import Acknowledger
from worker.attempt.attempt import Attempt, Ending
from worker.attempt.attempts import Attempts
from worker.attempt.settle import Settling
from worker.claiming.claims import Claims
from worker.claiming.quota import Quota
from worker.claiming.taking import BLOCK_S, Taking
from worker.periodic.heartbeat import Presence
from worker.periodic.loops import Loop
from worker.periodic.resume import Backlog
from worker.periodic.tasks import PeriodicTasks
from worker.redis_health import RedisHealth
from worker.settings import Limits

_log = log.get(__name__)

# One round trip begins up to this many attempts; with more, the first would wait.
_BATCH = 32

# How often a burst looks whether all is done while its last attempts are under way.
_BURST_LOOKS_S = 0.01

# Two calls may take 30 s at the very worst, supervisors kill sooner: what is not done this long
# after the signal is put back.
_DRAIN_S = 16.0

# Enough for Redis to hear a farewell; when it does not listen, everything lapses by itself.
_FAREWELL_S = 2.0


class Runner:
    """One worker process. `work` blocks until stopped; signals stop it."""

    def __init__(
        self, ledger: Ledger, acknowledger: Acknowledger, quota: Quota, limits: Limits
    ) -> None:
        self._presence = Presence(ledger)
        self._redis = RedisHealth(self._presence.name)
        self._attempts = Attempts(ledger, acknowledger, self._presence.name)
        accounts = AccountWatch(Holds(ledger.redis), quota, limits.outage_after_failures)
        self._chores = PeriodicTasks(
            ledger,
            presence=self._presence,
            attempts=self._attempts,
            accounts=accounts,
            backlog=Backlog(ledger, quota),
            redis=self._redis,
        )
        self._concurrency = limits.concurrency
        self._slots = threading.Semaphore(limits.concurrency)
        self._begun: SimpleQueue[Attempt] = SimpleQueue()
        self._ended: SimpleQueue[Ending] = SimpleQueue()
        self._stopping = threading.Event()
        self._at_once = threading.Event()
        self._drain_until = 0.0
        self._taking = Taking(ledger, Claims(ledger, quota), self._attempts, self._stopping)
        self._settling = Settling(self._ended, self._attempts, accounts, self._redis)

    def work(self, *, burst: bool = False) -> None:
        """Make attempts until stopped, or with `burst` until nothing is waiting.

        SIGTERM or SIGINT: take no more, settle what is under way, at most 16 s. A second one:
        put back what is under way at once.
        """
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        if not self._await_redis(self._presence.register_birth):
            return
        _log.info("worker.started", worker=self._presence.name, concurrency=self._concurrency)
        loops = self._chores.start()
        for number in range(self._concurrency):
            _start(self._make_attempts, f"attempt-{number}")
        _start(self._settle_attempts, "settle")
        self._serve(burst=burst)
        self._drain()
        self._say_goodbye(loops)

    def _stop(self, _signal: int, _frame: object) -> None:
        if self._stopping.is_set():
            self._at_once.set()
        else:
            self._drain_until = time.monotonic() + _DRAIN_S
        self._stopping.set()

    def _serve(self, *, burst: bool) -> None:
        while not self._stopping.is_set():
            free = self._claim_slots()
            begun: list[Attempt] = []
            try:
                if free and not self._is_suspended():
                    begun = self._taking.begin(free, block=not burst)
                is_over = burst and not begun and self._is_over()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next push is not to blame
                is_over = False
                self._ride_out(error)
            for attempt in begun:
                self._begun.put(attempt)
            for _ in range(free - len(begun)):
                self._slots.release()
            if is_over:
                return

    def _claim_slots(self) -> int:
        if not self._slots.acquire(timeout=BLOCK_S):
            return 0
        claimed = 1
        while claimed < _BATCH and self._slots.acquire(blocking=False):
            claimed += 1
        return claimed

    def _is_suspended(self) -> bool:
        """Whether somebody called `rq suspend`; then it waits a moment."""
        if self._chores.is_suspended:
            self._stopping.wait(BLOCK_S)
        return self._chores.is_suspended

    def _is_over(self) -> bool:
        """Whether a burst is over: nothing under way, nothing due. Waits a moment if it is not."""
        if self._attempts.active() or self._chores.queue_what_is_due() or not self._taking.is_idle:
            self._stopping.wait(_BURST_LOOKS_S)
            return False
        return True

    def _make_attempts(self) -> None:
        while True:
            self._ended.put(self._attempts.run(self._begun.get()))

    def _settle_attempts(self) -> None:
        while True:
            for _ in range(self._settling.settle()):
                self._slots.release()

    def _drain(self) -> None:
        """Wait for what is under way; put back what is not done in time, or at a second signal."""
        while self._attempts.active() and time.monotonic() < self._drain_until:
            if self._at_once.wait(0.05):
                break

    def _say_goodbye(self, loops: list[Loop]) -> None:
        """Put back what is left and sign off, as far as Redis lets us in a moment."""
        for loop in loops:
            loop.stop()
        farewell = _start(self._leave, "farewell")
        farewell.join(_FAREWELL_S)
        _log.info("worker.stopped", worker=self._presence.name, attempts=self._attempts.done)

    def _leave(self) -> None:
        try:
            self._attempts.release()
            self._presence.beat(0, self._attempts.done)
            self._presence.register_death()  # type: ignore[no-untyped-call]
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
                return True
        return False

    def _ride_out(self, error: Exception) -> None:
        if isinstance(error, RedisError):
            self._redis.note_away(error)
        else:
            _log.error(
                "worker.failed_here",
                meaning="no push is lost: what was popped is put back in a few seconds",
                action="report this with the traceback",
                exc_info=error,
            )
        self._stopping.wait(BLOCK_S)


def _start(target: Callable[[], None], name: str) -> threading.Thread:
    """Run something in a thread that does not keep the process alive."""
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread
