"""Beginning attempts: what a claimed job means. The record decides, the job only points to it.

Refused: jobs that are no push of ours, whoever put them there.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from pushes import life, log
from pushes.accounts.holds import AccountHold, Holds
from pushes.model import Change, HoldReason, Lane, Push, PushKey, Reason, State
from pushes.origin import Origin
from pushes.store import counters, rq_job
from pushes.store.ledger import CommitResult, Ledger
from worker.attempt.attempt import Attempt
from worker.attempt.settle import log_step
from worker.attempt.under_way import UnderWay
from worker.claiming.claims import Claim, ClaimKind, Claims
from worker.clock import Clock
from worker.names import new_execution_id

_log = log.get(__name__)


class Starter:
    """Begins the attempts of one worker process."""

    def __init__(
        self, ledger: Ledger, claims: Claims, under_way: UnderWay, worker: str, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._claims = claims
        self._under_way = under_way
        self._worker = worker
        self._clock = clock
        self._holds = Holds(ledger.redis)

    def start(self, claims: list[Claim]) -> list[Attempt]:
        """Begin an attempt for each claim that needs one; return the attempts to make.

        Raises RedisError; then calling it again with the same claims, read anew, is safe.
        """
        begun: list[Attempt] = []
        while claims:
            changed = self._commit(claims, begun)
            # A push was counted between reading and writing: read it again, decide again.
            claims = self._claims.reread([one for one in claims if one.key not in changed])
        self._under_way.add(begun)
        return begun

    def _commit(self, claims: list[Claim], begun: list[Attempt]) -> set[object]:
        """Commit what becomes of the claims; return the keys of those that are dealt with."""
        now = self._clock.now()
        done: set[object] = set()
        changes: list[tuple[Claim, Change]] = []
        parked_with = {one.key.account for one in claims if one.kind is ClaimKind.PARK}
        holds = {account: self._holds.get(account) for account in parked_with}
        for claim in claims:
            if claim.push and self._is_mine_but_not_under_way(claim.push):
                begun.append(self._new_attempt(claim.push, claim))
            elif (change := _decide(claim, holds, self._worker, now)) is not None:
                if not claim.stood_in_queue:  # it may stand anywhere else
                    change = replace(change, rebuilds_job=True)
                changes.append((claim, change))
                continue
            else:
                self._drop(claim, now)
            done.add(claim.key)
        results = self._ledger.commit_each([change for _, change in changes])
        for (claim, change), result in zip(changes, results, strict=True):
            if result is CommitResult.STALE:
                continue
            done.add(claim.key)
            if result is CommitResult.FAILED:  # it stays popped, where recovery finds it
                continue
            self._note_orphan(claim, change)
            if change.after.state is State.RUNNING:
                begun.append(self._new_attempt(change.after, claim))
            else:
                self._log_without_attempt(change.after)
        return done

    def _new_attempt(self, push: Push, claim: Claim) -> Attempt:
        is_probe = claim.kind is ClaimKind.PROBE
        return Attempt(push, self._clock.monotonic(), self._clock, claim.slot_at, is_probe)

    def _is_mine_but_not_under_way(self, push: Push) -> bool:
        """Whether an attempt was begun here, but Redis went away before it could say so."""
        mine = push.state is State.RUNNING and push.worker == self._worker
        return mine and not self._under_way.has(str(push.execution_id))

    def _drop(self, claim: Claim, now: datetime) -> None:
        """Forget a job; one without a record is taken in anew, since it may be an order."""
        if claim.push is None:
            self._ledger.accept(claim.key, now, Origin("found_in_queue", lane=Lane.BACKLOG))
        self._claims.forget(claim.key)

    def _note_orphan(self, claim: Claim, change: Change) -> None:
        """Count and log an order whose job somebody took out of the queue, or deleted."""
        if claim.stood_in_queue and claim.data is not None:
            return
        if change.after.state.is_waiting:
            counters.add(self._ledger.redis, "orphan_requeued")
            log_orphan(claim.key)

    def _log_without_attempt(self, push: Push) -> None:
        if push.state is State.DEAD:
            counters.add(self._ledger.redis, "unreadable_quarantined")
        log_step(push)


def log_orphan(key: PushKey) -> None:
    """Say that an order goes on whose job was not where it belongs."""
    _log.warning(
        "push.orphan_requeued",
        order_id=key.order_id,
        account=key.account,
        meaning="its job was not where it belongs; it is made anew, and the order goes on",
    )


def _decide(
    claim: Claim, holds: Mapping[str, AccountHold | None], worker: str, now: datetime
) -> Change | None:
    """Say what becomes of a claimed push. None: its job needs nothing more, and is dropped."""
    push = claim.push
    if push is None or push.unreadable:
        return life.quarantined(push, now) if push else None
    if claim.data is None:
        return life.requeued(push, now)
    try:
        rq_job.check(claim.data)
    except rq_job.UnreadableJobError as error:
        dead = life.dead(push, Reason.UNREADABLE, now, str(error))
        return dead if push.state.is_waiting else None
    if push.runs_alone:  # somebody queued it by hand: `worker.alone` attempts it
        return life.requeued(push, now)
    if claim.kind is ClaimKind.PARK and claim.why_held:
        return _park(push, claim.why_held, holds.get(claim.key.account), now)
    return life.started(push, worker, new_execution_id(), now)


def _park(push: Push, why: HoldReason, hold: AccountHold | None, now: datetime) -> Change | None:
    if hold is None or hold.reason is not why:  # it ended since the claim
        return life.parked(push, why, now)
    return life.parked(push, why, now, cause=hold.cause, by=hold.by)
