"""The concurrent worker: many attempts at a time, in threads, over one queue.

An attempt is two HTTP calls, so it waits rather than computes; RQ's own worker would fork for
each. One thread takes jobs and begins attempts, many make them, one settles them. It rides out
a Redis that is away, and ends on SIGTERM once what it has under way is settled.
"""

import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from queue import SimpleQueue

from redis.exceptions import RedisError

from pushes import log
from pushes.holds import Holds
from pushes.ledger import Ledger
from pushes.placement import LEASE_S
from worker import flood, resends, scheduler
from worker.accounts import AccountWatch
from worker.acknowledge import Acknowledger
from worker.attempts import Attempt, Attempts, Ending
from worker.backlog import Backlog
from worker.claims import Claim, Claims, reread
from worker.loops import Loop
from worker.presence import Presence
from worker.quota import Quota
from worker.recovery import Recovery
from worker.settings import Limits

_log = log.get(__name__)

# One round trip begins or settles up to this many attempts; with more, the first would wait.
_BATCH = 32

# How long one wait for work blocks: also how soon a stop is noticed by an idle worker.
_BLOCK_S = 1

# How often the queue is looked at while what waits there cannot be attempted yet.
_LOOK_AGAIN_S = 0.1

# How often a burst looks whether all is done while its last attempts are under way.
_BURST_LOOKS_S = 0.01

# Leases are renewed three times before they lapse.
_RENEW_EVERY_S = LEASE_S / 3

# A retry is late by at most this.
_SCHEDULE_EVERY_S = 0.5

# With the lease this bounds how long a kill is felt: 15 s + 5 s.
_RECOVER_EVERY_S = 5

# Two calls may take 30 s at the very worst, supervisors kill sooner: what is not done this long
# after the signal is put back.
_DRAIN_S = 16.0

# Enough for Redis to hear a farewell; when it does not listen, everything lapses by itself.
_FAREWELL_S = 2.0

# A re-send is missed ten minutes after it was expected: half a minute more tells nobody too late.
_RESENDS_EVERY_S = 30

# What expired is taken out of the indexes this often; nobody waits for it.
_TIDY_EVERY_S = 60


class Runner:
    """One worker process. `work` blocks until stopped; signals stop it."""

    def __init__(
        self, ledger: Ledger, acknowledger: Acknowledger, quota: Quota, limits: Limits
    ) -> None:
        self._ledger = ledger
        self._presence = Presence(ledger)
        self._claims = Claims(ledger, quota)
        self._attempts = Attempts(ledger, acknowledger, self._presence.name)
        self._accounts = AccountWatch(Holds(ledger.redis), quota, limits.outage_after_failures)
        self._backlog = Backlog(ledger, quota)
        self._recovery = Recovery(ledger)
        self._concurrency = limits.concurrency
        self._popped: bytes | None = None
        self._slots = threading.Semaphore(limits.concurrency)
        self._begun: SimpleQueue[Attempt] = SimpleQueue()
        self._ended: SimpleQueue[Ending] = SimpleQueue()
        self._stopping = threading.Event()
        self._at_once = threading.Event()
        self._drain_until = 0.0
        self._suspended = False
        self._nothing_to_take = True
        self._redis_well_since: float | None = None
        self._redis_was_away = False

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
        loops = self._start_loops()
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

    def _start_loops(self) -> list[Loop]:
        loops = [
            Loop("leases", _RENEW_EVERY_S, self._renew),
            Loop("schedule", _SCHEDULE_EVERY_S, self._queue_due),
            Loop("backlog", _SCHEDULE_EVERY_S, lambda: self._backlog.release(datetime.now(UTC))),
            Loop("recovery", _RECOVER_EVERY_S, self._recover),
            Loop("resends", _RESENDS_EVERY_S, self._look_for_resends),
            Loop("tidy", _TIDY_EVERY_S, self._tidy),
        ]
        for loop in loops:
            loop.start()
        return loops

    def _serve(self, *, burst: bool) -> None:
        in_hand: list[Claim] = []
        while not self._stopping.is_set():
            free = self._claim_slots()
            begun: list[Attempt] = []
            try:
                known = reread(self._ledger, in_hand) if in_hand else []
                in_hand = known or self._take(free, burst=burst)
                begun = self._attempts.begin(in_hand)
                is_idle, in_hand = not in_hand, []
                nothing_waits = burst and is_idle and self._is_done()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next push is not to blame
                nothing_waits = False
                self._ride_out(error)
            for attempt in begun:
                self._begun.put(attempt)
            for _ in range(free - len(begun)):
                self._slots.release()
            if nothing_waits:
                return

    def _is_done(self) -> bool:
        """Whether a burst is over: nothing under way, nothing due. Waits a moment if it is not."""
        is_over = not self._attempts.active() and not self._queue_due()
        if is_over and not self._backlog.release(datetime.now(UTC)) and self._nothing_to_take:
            return True
        self._stopping.wait(_BURST_LOOKS_S)
        return False

    def _claim_slots(self) -> int:
        if not self._slots.acquire(timeout=_BLOCK_S):
            return 0
        claimed = 1
        while claimed < _BATCH and self._slots.acquire(blocking=False):
            claimed += 1
        return claimed

    def _take(self, free: int, *, burst: bool) -> list[Claim]:
        """Take what may be attempted now; when there is nothing, wait a moment for it."""
        if self._suspended:
            self._stopping.wait(_BLOCK_S)
        if self._suspended or not free:
            return []
        taken = self._claims.take(free, self._popped)
        self._popped = None
        self._nothing_to_take = taken.queue_is_empty or taken.wait_s is None
        if taken.claims or burst:
            return taken.claims
        if not taken.queue_is_empty:  # what waits needs a slot, or another worker
            self._stopping.wait(min(taken.wait_s or _LOOK_AGAIN_S, _LOOK_AGAIN_S))
            return []
        self._popped = self._claims.wait(min(taken.wait_s or _BLOCK_S, _BLOCK_S))
        return self._take(free, burst=burst) if self._popped else []

    def _make_attempts(self) -> None:
        while True:
            self._ended.put(self._attempts.run(self._begun.get()))

    def _settle_attempts(self) -> None:
        """Commit what ended, together what ended together; while Redis is away, wait for it."""
        ended: list[Ending] = []
        unsettled: list[Ending] = []
        while True:
            ended = ended or self._take_ended()
            try:
                unsettled = unsettled or self._accounts.judge(ended, datetime.now(UTC))
                self._attempts.settle(unsettled)
            except RedisError as error:
                self._note_redis_away(error)
                time.sleep(_BLOCK_S)
                continue
            except Exception as error:  # noqa: BLE001 - a thread that dies would settle nothing more
                _not_settled(ended, error)
                self._attempts.forget(ended)
            for _ in ended:
                self._slots.release()
            ended, unsettled = [], []

    def _take_ended(self) -> list[Ending]:
        ended = [self._ended.get()]
        while len(ended) < _BATCH and not self._ended.empty():
            ended.append(self._ended.get())
        return ended

    def _tidy(self) -> None:
        self._ledger.forget_expired(datetime.now(UTC))
        self._backlog.report_unserved()
        flood.cut(self._ledger)

    def _queue_due(self) -> int:
        return scheduler.queue_due(self._ledger, datetime.now(UTC))

    def _look_for_resends(self) -> None:
        resends.look(self._ledger, datetime.now(UTC), self._accounts.has_outage)

    def _renew(self) -> None:
        """Renew the leases and the entry among RQ's workers; learn whether RQ is suspended."""
        try:
            self._attempts.renew_leases()
            self._presence.beat(len(self._attempts.active()), self._attempts.done)
            self._suspended = self._presence.is_suspended()
        except RedisError as error:
            self._note_redis_away(error)
        else:
            self._note_redis_there()

    def _recover(self) -> None:
        """Put back what dead workers left; not while a return of Redis leaves all leases stale."""
        well_since = self._redis_well_since
        if well_since is None:
            return
        if self._redis_was_away and time.monotonic() - well_since < LEASE_S:
            return
        self._recovery.look(datetime.now(UTC), self._attempts.alive())

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
                "worker.farewell_not_heard",
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
            self._note_redis_away(error)
        else:
            _log.error(
                "worker.failed_here",
                meaning="no push is lost: what was popped is put back in a few seconds",
                action="report this with the traceback",
                exc_info=error,
            )
        self._stopping.wait(_BLOCK_S)

    def _note_redis_away(self, error: RedisError) -> None:
        """Say so once; the leases of others are judged again only when they had time to renew."""
        if self._redis_well_since is not None or not self._redis_was_away:
            _log.warning(
                "worker.redis_away",
                error=f"{type(error).__name__}: {error}"[:200],
                meaning="no push is lost; nothing is acknowledged until Redis is back",
                action="bring Redis back; the worker goes on by itself",
            )
        self._redis_well_since = None
        self._redis_was_away = True

    def _note_redis_there(self) -> None:
        if self._redis_well_since is None:
            self._redis_well_since = time.monotonic()
            if self._redis_was_away:
                _log.info("worker.redis_back", worker=self._presence.name)


def _start(target: Callable[[], None], name: str) -> threading.Thread:
    """Run something in a thread that does not keep the process alive."""
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread


def _not_settled(endings: list[Ending], error: Exception) -> None:
    _log.error(
        "attempt.not_settled",
        order_ids=[ending.attempt.push.key.order_id for ending in endings],
        meaning="these pushes are tried again when their leases lapse; dead the third time",
        action="report this with the traceback",
        exc_info=error,
    )
