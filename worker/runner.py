"""The concurrent worker: one RQ worker that makes many attempts at a time, in threads.

An attempt is two HTTP calls, so it waits rather than computes; RQ's own worker would fork for
each. RQ's tools see this one as a worker with several executions. It rides out a Redis that is
away, and ends on SIGTERM once what it has under way is settled.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import cast

from redis.exceptions import RedisError
from rq.serializers import JSONSerializer
from rq.suspension import is_suspended
from rq.utils import utcformat
from rq.worker import BaseWorker, WorkerStatus
from rq.worker_registration import register

from pushes import log
from pushes.jobs import PushJob
from pushes.ledger import Ledger
from pushes.placement import LEASE_S
from worker import scheduler
from worker.acknowledge import Acknowledger
from worker.attempts import Attempt, Attempts, Ending
from worker.loops import Loop
from worker.names import new_name
from worker.recovery import Recovery

_log = log.get(__name__)

# One round trip begins up to this many attempts; more would only make the first of them wait.
_BATCH = 16

# How long one wait for work blocks: also how soon a stop is noticed by an idle worker.
_BLOCK_S = 1

# Leases are renewed three times before they lapse.
_RENEW_EVERY_S = LEASE_S / 3

# A retry is late by at most this.
_SCHEDULE_EVERY_S = 0.5

# With the lease this bounds how long a kill is felt: 15 s + 5 s.
_RECOVER_EVERY_S = 5

# Two calls may take 30 s at the very worst, supervisors kill sooner: what is not done is put back.
_DRAIN_S = 18.0

# What expired is taken out of the indexes this often; nobody waits for it.
_TIDY_EVERY_S = 60


class PushWorker(BaseWorker):
    """An RQ worker for pushes. `work` blocks until stopped; signals stop it."""

    def __init__(self, ledger: Ledger, acknowledger: Acknowledger, concurrency: int) -> None:
        super().__init__(
            [ledger.placement.queue],
            name=new_name(),
            connection=ledger.redis,
            worker_ttl=LEASE_S,
            job_class=PushJob,
            serializer=JSONSerializer,
            prepare_for_work=False,  # it would ask Redis, which may be away when we start
        )
        self.hostname, self.pid = socket.gethostname(), os.getpid()
        self._ledger = ledger
        self._attempts = Attempts(ledger, acknowledger, self.name)
        self._slots = threading.Semaphore(concurrency)
        self._concurrency = concurrency
        self._begun: SimpleQueue[Attempt] = SimpleQueue()
        self._ended: SimpleQueue[Ending] = SimpleQueue()
        self._stopping = threading.Event()
        self._at_once = threading.Event()
        self._suspended = False
        self._counted = 0
        self._recovery = Recovery(ledger)
        self._redis_was_away = False
        self._redis_well_since: float | None = None

    def work(self, burst: bool = False) -> None:  # type: ignore[override]  # noqa: FBT001, FBT002 - RQ's name
        """Make attempts until stopped, or with `burst` until nothing is waiting.

        SIGTERM or SIGINT: take no more, settle what is under way, at most 18 s. A second one:
        put back what is under way at once.
        """
        self._install_signal_handlers()
        if not self._await_redis(self.register_birth):
            return
        _log.info("worker.started", worker=self.name, concurrency=self._concurrency)
        loops = self._start_loops()
        for number in range(self._concurrency):
            _start(self._make_attempts, f"attempt-{number}")
        _start(self._settle_attempts, "settle")
        self._serve(burst=burst)
        self._drain()
        for loop in loops:
            loop.stop(timeout_s=1)
        self._say_goodbye()

    def request_stop(self, signum: object, frame: object) -> None:  # noqa: ARG002 - a signal handler's signature
        """Stop cleanly; the second time at once."""
        if self._stopping.is_set():
            self._at_once.set()
        self._stopping.set()

    def _set_connection(self, connection: object) -> object:  # type: ignore[override]
        return connection  # RQ would stretch its time limit, and a frozen Redis would go unnoticed

    def _start_loops(self) -> list[Loop]:
        loops = [
            Loop("leases", _RENEW_EVERY_S, self._renew),
            Loop("schedule", _SCHEDULE_EVERY_S, self._queue_due),
            Loop("recovery", _RECOVER_EVERY_S, self._recover),
            Loop("tidy", _TIDY_EVERY_S, lambda: self._ledger.forget_expired(datetime.now(UTC))),
        ]
        for loop in loops:
            loop.start()
        return loops

    def _serve(self, *, burst: bool) -> None:
        in_hand: list[str] = []
        while not self._stopping.is_set():
            free = self._claim_slots()
            begun: list[Attempt] = []
            try:
                in_hand = in_hand or self._pop(free, block=not burst)
                begun = self._attempts.begin(in_hand)
                ended = burst and not in_hand and not self._attempts.active()
                in_hand = []
            except RedisError as error:
                ended = False
                self._ride_out(error)
            for attempt in begun:
                self._begun.put(attempt)
            for _ in range(free - len(begun)):
                self._slots.release()
            if ended and not self._queue_due():
                return

    def _claim_slots(self) -> int:
        if not self._slots.acquire(timeout=_BLOCK_S):
            return 0
        claimed = 1
        while claimed < _BATCH and self._slots.acquire(blocking=False):
            claimed += 1
        return claimed

    def _pop(self, free: int, *, block: bool) -> list[str]:
        """Take up to `free` job ids out of the queue, into RQ's intermediate list."""
        if not free:
            return []
        if self._suspended:
            self._stopping.wait(_BLOCK_S)
            return []
        queue = self._ledger.placement.queue
        names = queue.key, queue.intermediate_queue_key
        waiting = self.connection.llen(queue.key)
        if waiting:
            pipeline = self.connection.pipeline(transaction=False)
            for _ in range(min(free, waiting)):
                pipeline.lmove(*names)
            return [job_id.decode() for job_id in pipeline.execute() if job_id]
        if not block:
            self._stopping.wait(0.01)
            return []
        popped = cast(bytes | None, self.connection.blmove(*names, _BLOCK_S))
        return [popped.decode()] if popped else []

    def _make_attempts(self) -> None:
        while True:
            self._ended.put(self._attempts.run(self._begun.get()))

    def _settle_attempts(self) -> None:
        """Commit what ended, together what ended together; while Redis is away, wait for it."""
        unsettled: list[Ending] = []
        while True:
            unsettled = unsettled or self._take_ended()
            try:
                self._attempts.settle(unsettled)
            except RedisError as error:
                self._ride_out(error)
            except Exception as error:  # noqa: BLE001 - a thread that dies would settle nothing more
                _not_settled(unsettled, error)
                unsettled = self._free_slots(unsettled)
            else:
                unsettled = self._free_slots(unsettled)

    def _take_ended(self) -> list[Ending]:
        ended = [self._ended.get()]
        while len(ended) < _BATCH and not self._ended.empty():
            ended.append(self._ended.get())
        return ended

    def _free_slots(self, settled: list[Ending]) -> list[Ending]:
        for _ in settled:
            self._slots.release()
        return []

    def _queue_due(self) -> int:
        return scheduler.queue_due(self._ledger, datetime.now(UTC))

    def _renew(self) -> None:
        """Renew the leases and the worker's own entry; learn whether `rq suspend` was called."""
        try:
            self._attempts.renew_leases(self._ledger.placement.queue.started_job_registry)
            self._beat()
            self._suspended = bool(is_suspended(self.connection))
        except RedisError:
            self._note_redis_away()
            raise
        if self._redis_well_since is None:
            self._redis_well_since = time.monotonic()

    def _beat(self) -> None:
        active, done = len(self._attempts.active()), self._attempts.done
        pipeline = self.connection.pipeline(transaction=False)
        self._state = WorkerStatus.BUSY if active else WorkerStatus.IDLE
        mapping = {**self.serialize(), "last_heartbeat": utcformat(datetime.now(UTC))}
        pipeline.hset(self.key, mapping={**mapping, "state": self._state})
        pipeline.hincrby(self.key, "successful_job_count", done - self._counted)
        pipeline.expire(self.key, self.worker_ttl + 60)
        pipeline.expire(self.executions_key, self.worker_ttl + 60)
        register(self, pipeline)
        pipeline.execute()
        self._counted = done

    def _recover(self) -> None:
        """Put back what dead workers left; not while a return of Redis leaves all leases stale."""
        well_since = self._redis_well_since
        if well_since is None:
            return
        if self._redis_was_away and time.monotonic() - well_since < LEASE_S:
            return
        mine = {str(attempt.push.execution_id) for attempt in self._attempts.active()}
        self._recovery.look(datetime.now(UTC), mine)

    def _drain(self) -> None:
        """Wait for what is under way; put back what is not done in time, or at a second signal."""
        until = time.monotonic() + _DRAIN_S
        while self._attempts.active() and time.monotonic() < until:
            if self._at_once.wait(0.05):
                break
        self._quietly(self._attempts.release)

    def _say_goodbye(self) -> None:
        self._quietly(self._beat)
        self._quietly(self.register_death)
        _log.info("worker.stopped", worker=self.name, attempts=self._attempts.done)

    def _quietly(self, farewell: Callable[[], None]) -> None:
        try:
            farewell()
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

    def _ride_out(self, error: RedisError) -> None:
        self._note_redis_away()
        _log.warning(
            "worker.redis_away",
            error=f"{type(error).__name__}: {error}"[:200],
            meaning="no push is lost; nothing is acknowledged until Redis is back",
            action="bring Redis back; the worker goes on by itself",
        )
        self._stopping.wait(_BLOCK_S)

    def _note_redis_away(self) -> None:
        self._redis_well_since = None
        self._redis_was_away = True

    def _install_signal_handlers(self) -> None:
        signal.signal(signal.SIGTERM, self.request_stop)
        signal.signal(signal.SIGINT, self.request_stop)


def _start(target: Callable[[], None], name: str) -> None:
    """Run something for as long as the process lives."""
    threading.Thread(target=target, name=name, daemon=True).start()


def _not_settled(endings: list[Ending], error: Exception) -> None:
    _log.error(
        "attempt.not_settled",
        order_ids=[ending.attempt.push.key.order_id for ending in endings],
        meaning="these pushes are tried again when their leases lapse; dead the third time",
        action="report this with the traceback",
        exc_info=error,
    )
