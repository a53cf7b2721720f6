"""The attempts that this process has under way, and the leases that tell everybody so."""

import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial

from redis.exceptions import RedisError

from pushes import life, log
from pushes.model import Change, Push
from pushes.store.ledger import Ledger
from pushes.store.rq_mirror import LEASE_S
from worker.attempt.attempt import Attempt, Report
from worker.clock import Clock

_log = log.get(__name__)


class UnderWay:
    """The attempts of one worker process that are not settled yet. Threads share it."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._attempts: dict[str, Attempt] = {}
        self._lock = threading.Lock()
        self.done = 0

    def add(self, begun: list[Attempt]) -> None:
        """Keep leases for these from now on."""
        with self._lock:
            self._attempts |= {attempt.execution_id: attempt for attempt in begun}

    def take(self, attempt: Attempt) -> Attempt:
        """Let the time of an attempt begin now that a thread makes it; return it so."""
        taken = replace(attempt, began=self._clock.monotonic())
        with self._lock:
            self._attempts[taken.execution_id] = taken
        return taken

    def remove(self, ended: list[Attempt]) -> None:
        """Keep no lease for these any more."""
        with self._lock:
            for attempt in ended:
                self._attempts.pop(attempt.execution_id, None)
            self.done += len(ended)

    def has(self, execution_id: str) -> bool:
        """Whether this attempt is under way here."""
        return execution_id in self._attempts

    def attempts(self) -> list[Attempt]:
        """List what is under way."""
        with self._lock:
            return list(self._attempts.values())

    def accounts(self) -> list[str]:
        """Name the account of each attempt that is under way."""
        return [attempt.account for attempt in self.attempts()]

    def alive(self) -> set[str]:
        """Name the executions that are under way and do not hang."""
        return {attempt.execution_id for attempt in self.attempts() if not attempt.hangs}

    def renew_leases(self) -> None:
        """Tell everybody that these attempts are alive; leave out those that hang.

        Raises RedisError.
        """
        rq = self._ledger.rq
        pipeline = self._ledger.redis.pipeline(transaction=False)
        for attempt in self.attempts():
            if not attempt.hangs:
                registry = rq.queue.started_job_registry
                rq.execution(attempt.push).heartbeat(registry, LEASE_S, pipeline)
                continue
            _log.error(
                "attempt.hung",
                order_id=attempt.push.key.order_id,
                age_s=round(attempt.age_s),
                meaning="its lease is no longer renewed, so another attempt will be made",
                action="restart this worker when it happens again, and report it",
            )
        pipeline.execute()

    def release(self) -> None:
        """Put back what is under way, spending nothing: this process is about to end.

        Raises RedisError; then the leases lapse by themselves.
        """
        for attempt in self.attempts():
            step = partial(_released, attempt=attempt, clock=self._clock)
            if self._ledger.advance(attempt.push.key, step, attempt.push):
                _log.info("push.released", order_id=attempt.push.key.order_id)


def remember(ledger: Ledger, push: Push, report: Report) -> None:
    """Write to the record of a running push what its attempt has done so far.

    While Redis is away the attempt goes on: its report carries the same to its end.
    """

    def step(present: Push) -> Change | None:
        if present.execution_id != push.execution_id:
            return None
        return Change(present, replace(report.added_to(present), rev=present.rev + 1))

    with suppress(RedisError):
        ledger.advance(push.key, step, push)


def _released(push: Push, *, attempt: Attempt, clock: Clock) -> Change | None:
    if push.execution_id != attempt.push.execution_id:
        return None
    return life.released(push, clock.now())
