"""The attempts this process has under way: begin them, make them, settle them, keep their leases.

Each step is one round trip to Redis. Refused: writing the outcome of an attempt that was given
to another worker meanwhile; the record's execution id tells.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import cast

from redis.exceptions import RedisError

from pushes import life, log
from pushes.model import Change, Push, State
from pushes.store import keys, rq_job
from pushes.store.ledger import Ledger
from pushes.store.rq_mirror import LEASE_S
from worker.attempt import popped, telling
from worker.attempt.acknowledge import Acknowledger, Report
from worker.attempt.attempt import Attempt, Ending
from worker.attempt.outcomes import Outcome, Sign
from worker.claiming.claims import Claim, Errand, reread
from worker.claiming.quota import GRACE_S
from worker.clock import SYSTEM_CLOCK, Clock

_log = log.get(__name__)


class Attempts:
    """All attempts of one worker process. Threads share it."""

    def __init__(
        self,
        ledger: Ledger,
        acknowledger: Acknowledger,
        worker: str,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._ledger = ledger
        self._acknowledger = acknowledger
        self._worker = worker
        self._clock = clock
        self._active: dict[str, Attempt] = {}
        self._lock = threading.Lock()
        self.done = 0

    def active(self) -> list[Attempt]:
        """List what is under way."""
        with self._lock:
            return list(self._active.values())

    def begin(self, claims: list[Claim]) -> list[Attempt]:
        """Begin an attempt for each job that needs one; return the attempts to make.

        Raises RedisError; then calling it again with the same claims, read anew, is safe.
        """
        now = self._clock.now()
        claim_of = {claim.key: claim for claim in claims}
        changes = []
        begun_before: list[Push] = []
        for claim in claims:
            if claim.push and self._is_mine_but_not_under_way(claim.push):
                begun_before.append(claim.push)
                continue
            change = popped.judge(claim, self._worker, now)
            if change is None:
                popped.drop(self._ledger, claim, now)
            else:
                changes.append(change)
        current = self._ledger.update_many(changes)
        taken = [change.after for change, ok in zip(changes, current, strict=True) if ok]
        for push in taken:
            if push.state is State.DEAD:
                self._ledger.count_event("unreadable_quarantined")
            if push.state is not State.RUNNING:
                telling.tell(push)
        begun = [
            self._new_attempt(push, claim_of[push.key])
            for push in [*begun_before, *taken]
            if push.state is State.RUNNING
        ]
        with self._lock:
            self._active |= {str(attempt.push.execution_id): attempt for attempt in begun}
        if len(taken) < len(changes):  # a push was counted between reading and writing
            moved = {change.after.key for change in changes} - {push.key for push in taken}
            with suppress(RedisError):  # what was begun must be made; the rest, recovery finds
                begun += self.begin(reread(self._ledger, [claim_of[key] for key in moved]))
        return begun

    def _new_attempt(self, push: Push, claim: Claim) -> Attempt:
        return Attempt(
            push,
            rq_job.runnable(push, self._ledger.redis),
            self._clock.monotonic(),
            self._clock,
            claim.slot_at,
            claim.errand is Errand.PROBE,
        )

    def _is_mine_but_not_under_way(self, push: Push) -> bool:
        """Whether an attempt was begun here, but Redis went away before it could say so."""
        mine = push.state is State.RUNNING and push.worker == self._worker
        return mine and str(push.execution_id) not in self._active

    def run(self, attempt: Attempt) -> Ending:
        """Make the attempt through its RQ job: the calls to Klarna. Raises nothing."""
        report = Report(self._clock)
        attempt.job.attempt = partial(self._acknowledger.attempt, attempt.push, report)
        try:
            self._await_slot(attempt)
            outcome = cast(Outcome, attempt.job.perform())
        except Exception as error:  # noqa: BLE001 - RQ or our own code failed before the first call
            outcome = self._acknowledger.judge(error, attempt.push)
        return Ending.of(attempt, outcome, report, self._clock.now())

    def _await_slot(self, attempt: Attempt) -> None:
        """Wait for the slot that was reserved with the job; when it was missed, for another.

        One that was there at once may be late: then slots are left over.
        """
        clock, slot_at = self._clock, attempt.slot_at
        if slot_at is None:
            return
        clock.sleep(max(0.0, slot_at - clock.monotonic()))
        if clock.monotonic() - slot_at > GRACE_S:
            self._acknowledger.await_slot(attempt.push.key.account, clock)

    def settle(self, endings: list[Ending]) -> None:
        """Commit how attempts ended, in one round trip for all.

        Raises RedisError; then calling it again with the same endings is safe.
        """
        well = {ending.account for ending in endings if ending.outcome.sign is Sign.WELL}
        known = {ending.account for ending in endings if ending.report.order}
        current = self._ledger.update_many(
            [ending.change for ending in endings],
            forget=[*map(keys.failing, well), *map(keys.unknown_in_a_row, known)],
        )
        for ending, is_current in zip(endings, current, strict=True):
            change = ending.change if is_current else self._settle_again(ending)
            if change:
                telling.tell(change.after, round(ending.attempt.age_s * 1000))
            else:
                telling.tell_superseded(ending.attempt.push)
        self.forget(endings)

    def forget(self, endings: list[Ending]) -> None:
        """Keep no lease for these attempts any more."""
        with self._lock:
            for ending in endings:
                self._active.pop(str(ending.attempt.push.execution_id), None)
            self.done += len(endings)

    def alive(self) -> set[str]:
        """Name the executions that are under way and do not hang."""
        return {str(attempt.push.execution_id) for attempt in self.active() if not attempt.hangs}

    def renew_leases(self) -> None:
        """Tell everybody that the attempts under way are alive; leave out those that hang."""
        registry = self._ledger.rq.queue.started_job_registry
        pipeline = self._ledger.redis.pipeline(transaction=False)
        for attempt in self.active():
            if not attempt.hangs:
                execution = self._ledger.rq.execution(attempt.push)
                execution.heartbeat(registry, LEASE_S, pipeline)
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
        """Put back what is under way, spending nothing: this process is about to end."""
        for attempt in self.active():
            change = self._ledger.advance(
                attempt.push.key,
                self._mine(attempt, partial(life.released, now=self._clock.now())),
                attempt.push,
            )
            if change:
                _log.info("push.released", order_id=attempt.push.key.order_id)

    def _settle_again(self, ending: Ending) -> Change | None:
        """Settle a push whose record moved on: it was counted, or given to another worker."""
        step = self._mine(ending.attempt, ending.step)
        return self._ledger.advance(ending.attempt.push.key, step)

    def _mine(
        self, attempt: Attempt, step: Callable[[Push], Change | None]
    ) -> Callable[[Push], Change | None]:
        """Take `step` only while the push is still running in this very attempt."""

        def decide(push: Push) -> Change | None:
            if push.execution_id != attempt.push.execution_id:
                return None
            return step(push)

        return decide
