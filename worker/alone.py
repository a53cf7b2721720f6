"""Attempts of orders whose worker died, each the only one of a process that does nothing else.

A worker that dies leaves up to its whole concurrency of orders behind, and at most one of them is
to blame. So none is blamed yet: each gets its next attempt alone, in a process of its own kind,
`python -m worker --alone`, of which there is one at a time over all workers. Only what dies
there counts against the order. Every worker starts such a process when it is due.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from typing import cast

from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

from pushes import life, log
from pushes.accounts.holds import Holds
from pushes.model import Change, Push, PushKey, State
from pushes.store import codec, keys
from pushes.store.ledger import Ledger
from worker.attempt.attempt import Attempt
from worker.attempt.under_way import UnderWay
from worker.clock import SYSTEM_CLOCK, Clock
from worker.names import new_execution_id
from worker.periodic.loops import Loop
from worker.periodic.tasks import LEASES, PeriodicTask
from worker.wiring import Parts

_log = log.get(__name__)

# How long the lock outlives the process that held it: what killed that may kill the next one, too,
# and none of its orders is to be hit twice.
LOCK_S = 60

# How often it is kept.
_KEEP_EVERY_S = 5.0

# Less than supervisors wait before they kill.
_DRAIN_S = 14.0

# How long a worker that ends waits for it.
_STOP_S = 2.0

# No slot was reserved with the order: its first call reserves one.
_NO_SLOT = float("-inf")

# Among so many orders it is looked for one of another account: what a few workers had under way.
_LOOKED_AT = 512

# An order whose account is held, or unknown here, is looked at again after this.
_AGAIN_AFTER = timedelta(seconds=60)


def is_due(redis: Redis, now: datetime) -> bool:
    """Whether an order waits for an attempt alone and nobody makes one. Raises RedisError."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.zcount(keys.ALONE, "-inf", codec.epoch(now))
    pipeline.exists(keys.ALONE_LOCK)
    waiting, is_locked = pipeline.execute()
    return bool(waiting and not is_locked)


class AloneProcess:
    """Starts the process that makes attempts alone, one at a time, and ends it with this one."""

    def __init__(self, redis: Redis, command: tuple[str, ...] = ()) -> None:
        self._redis = redis
        self._command = command or (sys.executable, "-m", "worker", "--alone")
        self._process: subprocess.Popen[bytes] | None = None

    def start_when_due(self, now: datetime) -> bool:
        """Start it unless it runs here or elsewhere, or nothing is due.

        Return whether it runs here. Raises RedisError.
        """
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return True
            self._process = None
            if code:
                _log.warning(
                    "alone.process_died",
                    exit_code=code,
                    meaning="an order was attempted alone when it died; it is tried once more, "
                    "then dead as crash_loop",
                    action="look in the log for the order's last lines, and at the memory",
                )
        if is_due(self._redis, now):
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)  # noqa: S603 - our own program
        return self._process is not None

    def stop(self) -> None:
        """Tell it to end: it finishes the attempt it is at, or puts it back.

        Waits for it a moment, so that it is mostly gone with this process.
        """
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_S)


def run(parts: Parts, ledger: Ledger, worker: str, accounts: Collection[str]) -> int:
    """Be that process: attempt what is due, then end; return the exit code.

    SIGTERM: finish the attempt under way, or put it back after 14 s.
    """
    stopping = threading.Event()

    def put_back() -> None:
        parts.under_way.release()
        os._exit(0)

    def stop(_signal: int, _frame: object) -> None:
        stopping.set()
        timer = threading.Timer(_DRAIN_S, put_back)
        timer.daemon = True
        timer.start()

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it has just read the accounts
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    leases = [Loop(task) for task in parts.tasks if task.name == LEASES]
    for loop in leases:
        loop.start()
    try:
        made = work(parts, ledger, worker, accounts, stopping)
    except RedisError as error:
        parts.redis_health.note_away(error)
        return 0  # what is left is due again when Redis is back
    if made:
        _log.info("alone.finished", worker=worker, attempts=made)
    return 0


def work(  # noqa: PLR0913 - the parts of the process, and what tests replace
    parts: Parts,
    ledger: Ledger,
    worker: str,
    accounts: Collection[str],
    stopping: threading.Event,
    *,
    clock: Clock = SYSTEM_CLOCK,
) -> int:
    """Attempt what is due, one order after the other; return how many attempts were made.

    Returns when nothing is due, when another process does it, or when `stopping` is set. Raises
    RedisError.
    """
    redis, made = ledger.redis, 0
    lock = redis.lock(keys.ALONE_LOCK, timeout=LOCK_S, blocking=False, thread_local=False)
    if not lock.acquire(token=worker):
        return 0
    keeping = Loop(PeriodicTask("alone", _KEEP_EVERY_S, lambda: keep(lock, parts.under_way)))
    keeping.start()
    try:
        last = ""
        while not stopping.is_set() and (key := _next_due(redis, clock.now(), last)) is not None:
            last = key.account
            if key.account not in accounts or Holds(redis).get(key.account):
                _look_again_later(redis, key, clock.now())
            else:
                made += _attempt(parts, ledger, key, worker, clock)
    finally:
        keeping.stop()
        with suppress(LockError):  # it has lapsed, and may be another's
            lock.release()
    return made


def keep(lock: Lock, under_way: UnderWay) -> None:
    """Keep the lock, as the lease of what is under way is kept; what hangs loses both.

    Raises RedisError.
    """
    if not any(attempt.hangs for attempt in under_way.attempts()):
        with suppress(LockError):  # it has lapsed, and may be another's
            lock.reacquire()


def _next_due(redis: Redis, now: datetime, last: str) -> PushKey | None:
    """Find an order that is due; one of another account than the last, if there is any.

    So the orders of a slow shop do not keep those of others waiting.
    """
    until = codec.epoch(now)
    while found := cast(list[bytes], redis.zrangebyscore(keys.ALONE, "-inf", until, 0, _LOOKED_AT)):
        ours = [key for name in found if (key := keys.find_key(name))]
        if ours:
            return next((key for key in ours if key.account != last), ours[0])
        redis.zrem(keys.ALONE, *found)  # no orders of ours: they would come up for ever
    return None


def _look_again_later(redis: Redis, key: PushKey, now: datetime) -> None:
    later = (now + _AGAIN_AFTER).timestamp()
    redis.zadd(keys.ALONE, {keys.job_id(key): later}, xx=True)


def _attempt(parts: Parts, ledger: Ledger, key: PushKey, worker: str, clock: Clock) -> int:
    """Make one attempt; return how many were made: none when the order needs none any more."""

    def start(push: Push) -> Change | None:
        if push.state is not State.RETRYING or not push.runs_alone:
            return None
        return life.started(push, worker, new_execution_id(), clock.now())

    change = ledger.advance(key, start)
    if change is None:
        ledger.redis.zrem(keys.ALONE, keys.job_id(key))
        return 0
    attempt = Attempt(change.after, clock.monotonic(), clock, slot_at=_NO_SLOT)
    parts.under_way.add([attempt])
    parts.settler.settle([parts.acknowledger.run(attempt)])
    return 1
