"""The steps in the life of a push, each a pure function from a record to a `Change`.

Whoever acts (intake, worker, recovery, operator) asks here what becomes of the record, then
commits the answer in the ledger. A step that does not apply returns None.
"""

from dataclasses import replace
from datetime import datetime

from pushes import policy
from pushes.model import (
    Change,
    Entry,
    HoldReason,
    Lane,
    OrderSnapshot,
    Push,
    PushKey,
    Reason,
    State,
)
from pushes.origin import KLARNA, Origin, target_of

# These deaths leave open whether the last acknowledge reached Klarna.
_UNCLEAR = frozenset({Reason.RETRIES_EXHAUSTED, Reason.INTERNAL_ERROR, Reason.CRASH_LOOP})


def first_pushed(key: PushKey, now: datetime, origin: Origin = KLARNA) -> Change:
    """Take in the first push of an order: queue it."""
    lane, source, trace = origin.lane, origin.source, origin.trace
    push = Push(
        key, State.QUEUED, 1, now, now, now, pushes=1, lane=lane, source=source, trace=trace
    )
    if origin.target:
        push = replace(push, push_target=origin.target)
    return Change(None, push, (Entry(now, origin.event, by=origin.by),))


def pushed_again(push: Push, now: datetime, origin: Origin = KLARNA) -> Change:
    """Take in one more push of an order: revive a dead one, count what is already in hand.

    One that waits after a failure is queued at once: Klarna still pushes, so it may be well again.
    One that Klarna did not know gets a single look, unless an operator (`by`) pushes it.
    """
    event, by, lane = origin.event, origin.by, origin.lane
    counted = replace(
        push,
        rev=push.rev + 1,
        pushes=push.pushes + 1,
        last_push_at=now,
        unreadable=None,
        push_target=target_of(push, origin),
    )
    if _is_to_be_revived(push, now) and (by or not _is_unknown_of_late(push, now)):
        entry = Entry(now, event, detail=f"was {push.state}", by=by)
        # Klarna opens its 48 hours anew when it pushes after they were over.
        first = push.first_push_at if now < push.deadline_at else now
        # What was spent on looking for an order nobody knows stays spent.
        looked = push.not_found if push.reason is Reason.NO_SUCH_ORDER and not by else 0
        revived = replace(
            with_fresh_attempts(counted, now),
            first_push_at=first,
            not_found=looked,
            lane=Lane.UNKNOWN if looked else lane,
            trace=origin.trace or push.trace,
        )
        return Change(push, revived, (entry,))
    if _can_be_expedited(push, now):
        entry = Entry(now, event, detail="was retrying, tried at once", by=by)
        return Change(push, _expedited(counted, now), (entry,))
    # A flood of the same push must not wash the history out of the timeline.
    noted = now - push.last_push_at >= policy.PUSHES_NOTED_APART
    entry = Entry(now, event, detail=f"already {push.state}", by=by)
    return Change(push, counted, (entry,) if noted else ())


def _is_to_be_revived(push: Push, now: datetime) -> bool:
    if push.state is State.DEAD:
        return not push.discarded
    return push.state.is_settled and now - push.changed_at >= policy.ALREADY_ACKNOWLEDGED


def _is_unknown_of_late(push: Push, now: datetime) -> bool:
    is_unknown = push.reason is Reason.NO_SUCH_ORDER
    return is_unknown and now - push.changed_at < policy.UNKNOWN_REMEMBERED


def _can_be_expedited(push: Push, now: datetime) -> bool:
    return (
        push.state is State.RETRYING
        and push.after_failure
        and now - push.changed_at >= policy.EXPEDITED_AFTER
    )


def _expedited(push: Push, now: datetime) -> Push:
    # The attempt takes the place of the planned one. The failure that planned it is given back, so
    # that the delays last as long as without Klarna's pushes, or longer.
    return replace(
        push,
        state=State.QUEUED,
        changed_at=now,
        failures=push.failures - 1,
        next_attempt_at=None,
        after_failure=False,
    )


def with_fresh_attempts(push: Push, now: datetime) -> Push:
    """Queue a push as if nothing had been spent yet."""
    return replace(
        push,
        state=State.QUEUED,
        changed_at=now,
        reason=None,
        failures=0,
        not_found=0,
        limited=0,
        crashes=0,
        next_attempt_at=None,
        worker=None,
        execution_id=None,
        last_error=None,
        error_code=None,
        correlation_id=None,
        discarded=False,
        run=None,
        unreadable=None,
    )


def started(push: Push, worker: str, execution_id: str, now: datetime) -> Change | None:
    """Begin an attempt. None when there is nothing to attempt: settled, or running elsewhere.

    The idempotency key's age is fixed here, before any call, so that an attempt after a crash
    sends the same key. A dead push comes here when somebody requeued its RQ job by hand.
    """
    if push.state.is_settled or push.state is State.RUNNING:
        return None
    base = with_fresh_attempts(push, now) if push.state is State.DEAD else push
    since = push.idempotent_since
    if since is None or now - since >= policy.IDEMPOTENCY_WINDOW:
        since = now
    return Change(
        push,
        replace(
            base,
            state=State.RUNNING,
            rev=push.rev + 1,
            changed_at=now,
            reason=None,
            attempts=push.attempts + 1,
            next_attempt_at=None,
            after_failure=False,
            idempotent_since=since,
            worker=worker,
            execution_id=execution_id,
        ),
    )


def _end_attempt(push: Push, now: datetime, state: State, *, judged: bool = False) -> Push:
    # What died before is forgotten: this attempt has come to its end. Klarna repeats its answer to
    # a key it knows: once it has judged the order, the next call needs a new key to be judged anew;
    # until then the same key keeps one call from counting twice.
    left = _leave_running(push, now, state)
    since = None if judged else push.idempotent_since
    return replace(left, crashes=0, idempotent_since=since)


def _leave_running(push: Push, now: datetime, state: State) -> Push:
    return replace(
        push,
        state=state,
        rev=push.rev + 1,
        changed_at=now,
        worker=None,
        execution_id=None,
        error_code=None,
        unreadable=None,
    )


def acknowledged(push: Push, now: datetime) -> Change:
    """Klarna said 2xx to acknowledge."""
    after = replace(
        _end_attempt(push, now, State.ACKNOWLEDGED, judged=True),
        acknowledged_at=now,
        last_error=None,
    )
    return Change(push, after, (Entry(now, "acknowledged"),))


def not_needed(push: Push, now: datetime) -> Change:
    """Klarna shows the order as cancelled, expired or closed."""
    after = replace(_end_attempt(push, now, State.NOT_NEEDED, judged=True), last_error=None)
    return Change(push, after, (Entry(now, "not_needed"),))


def reported(
    change: Change, entries: tuple[Entry, ...], order: OrderSnapshot | None, seen_at: datetime
) -> Change:
    """Add to the end of an attempt what it did and, when Klarna showed it, the order."""
    after = change.after
    calls = [entry for entry in entries if entry.call]
    named = [entry.correlation_id for entry in calls if entry.correlation_id]
    code = calls[-1].failure if calls and not after.state.is_settled else None
    last_id = named[-1] if named else None
    shown, at = (order, seen_at) if order else (after.order, after.verified_at)
    after = replace(after, order=shown, verified_at=at, correlation_id=last_id, error_code=code)
    return replace(change, after=after, entries=(*entries, *change.entries))


def retrying(  # noqa: PLR0913 - one step of the life, each fact named by the caller
    push: Push,
    at: datetime,
    now: datetime,
    *,
    error: str,
    failed: bool = False,
    not_found: bool = False,
    limited: bool = False,
) -> Change:
    """Try again at `at`. `failed`, `not_found`, `limited` say what is spent, if anything."""
    after = replace(
        _end_attempt(push, now, State.RETRYING, judged=not_found),
        failures=push.failures + failed,
        not_found=push.not_found + not_found,
        limited=push.limited + limited,
        lane=Lane.UNKNOWN if not_found and push.verified_at is None else push.lane,
        next_attempt_at=at,
        after_failure=failed,
        last_error=error,
    )
    return Change(push, after, (Entry(now, "retrying", detail=error),))


def held(push: Push, why: HoldReason, now: datetime, error: str) -> Change:
    """Wait with the account, after an attempt that is not spent."""
    after = replace(_end_attempt(push, now, State.HELD), reason=why, last_error=error)
    return Change(push, after, (Entry(now, "held", detail=f"{why}: {error}"),))


def parked(
    push: Push, why: HoldReason, now: datetime, *, cause: str = "", by: str | None = None
) -> Change | None:
    """Wait with the account, without an attempt. None unless the push was queued.

    `cause` and `by` are the hold's own: why in words and, when it was an operator, who.
    """
    if push.state is not State.QUEUED:
        return None
    after = replace(push, state=State.HELD, rev=push.rev + 1, changed_at=now, reason=why)
    detail = f"{why}: {cause}" if cause else str(why)
    return Change(push, after, (Entry(now, "held", detail=detail, by=by),))


def resumed(
    push: Push, now: datetime, *, by: str | None = None, why: str | None = None
) -> Change | None:
    """Queue a held push: its account is served again. None when it is not held.

    `by` and `why` are those of the operator who resumed the account, if one did.
    """
    if push.state is not State.HELD:
        return None
    entry = Entry(now, "resumed", detail=why, by=by)
    return Change(push, waiting_no_longer(push, now), (entry,))


def dead(push: Push, reason: Reason, now: datetime, error: str) -> Change:
    """Leave the push to an operator."""
    leaving = _end_attempt(push, now, State.DEAD, judged=reason not in _UNCLEAR)
    after = replace(leaving, reason=reason, last_error=error)
    return Change(push, after, (Entry(now, "dead", detail=f"{reason}: {error}"),))


def quarantined(push: Push, now: datetime) -> Change | None:
    """Write a record anew that cannot be read: dead. None when it is readable."""
    if push.unreadable is None:
        return None
    after = replace(push, rev=push.rev + 1, changed_at=now, unreadable=None)
    entry = Entry(now, "dead", detail=f"{Reason.UNREADABLE}: {push.last_error}")
    return Change(push, after, (entry,), rebuilds_job=True)


def due(push: Push, now: datetime) -> Change | None:
    """Queue a push whose time has come. None when it waits for no time, or for a process alone."""
    if push.state is not State.RETRYING or push.runs_alone:
        return None
    return Change(push, waiting_no_longer(push, now))


def waiting_no_longer(push: Push, now: datetime) -> Push:
    """Queue a push that waited, whatever it waited for."""
    stays = push.lane is Lane.UNKNOWN and push.verified_at is None
    return replace(
        push,
        state=State.QUEUED,
        lane=Lane.UNKNOWN if stays else Lane.BACKLOG,
        rev=push.rev + 1,
        changed_at=now,
        reason=None,
        next_attempt_at=None,
        after_failure=False,
    )


def crashed(push: Push, now: datetime) -> Change | None:
    """Let a push whose worker died wait for an attempt alone; dead after two deaths of such.

    The first death may be that of any order under way, or of none; one alone is its own.
    """
    if push.state is not State.RUNNING:
        return None
    error = f"worker {push.worker} died during the attempt"
    crashed_once_more = replace(
        _leave_running(push, now, State.RETRYING),
        crashes=push.crashes + 1,
        next_attempt_at=now + policy.ALONE_AFTER[min(push.crashes, len(policy.ALONE_AFTER) - 1)],
        last_error=error,
    )
    entry = Entry(now, "crashed", detail=error)
    if crashed_once_more.crashes < policy.MAX_CRASHES:
        return Change(push, crashed_once_more, (entry,))
    after = replace(
        crashed_once_more, state=State.DEAD, reason=Reason.CRASH_LOOP, next_attempt_at=None
    )
    return Change(push, after, (entry, Entry(now, "dead", detail=Reason.CRASH_LOOP)))


def released(push: Push, now: datetime) -> Change | None:
    """Put back a push whose worker was told to stop at once: nothing is spent."""
    if push.state is not State.RUNNING:
        return None
    leaving = _leave_running(push, now, State.QUEUED)
    after = replace(leaving, attempts=push.attempts - 1)
    return Change(push, after, (Entry(now, "released"),))


def requeued(push: Push, now: datetime) -> Change | None:
    """Put a waiting push back in the queue: its job is not where the record says it is."""
    if not push.state.is_waiting or push.state is State.RUNNING:
        return None
    # One that is to run alone stays where it waits for that; only its job is made anew.
    after = replace(push, rev=push.rev + 1) if push.runs_alone else waiting_no_longer(push, now)
    return Change(push, after, (Entry(now, "requeued"),), rebuilds_job=True)


def retried(push: Push, by: str, why: str, now: datetime) -> Change | None:
    """Queue a push at an operator's word that waits for a time. None when it does not.

    The attempt takes the place of the planned one: what planned that is given back. One that is to
    run alone still waits for that, and is due now.
    """
    if push.state is not State.RETRYING:
        return None
    entry = Entry(now, "retried", detail=why, by=by)
    if push.runs_alone:
        return Change(push, replace(push, rev=push.rev + 1, next_attempt_at=now), (entry,))
    after = replace(
        waiting_no_longer(push, now),
        failures=push.failures - push.after_failure,
        not_found=max(0, push.not_found - (not push.after_failure)),
    )
    return Change(push, after, (entry,))


def rebuilt(push: Push) -> Change | None:
    """Put the job of a dead push in its place again, since it stands nowhere. None unless dead."""
    if push.state is not State.DEAD or push.discarded:
        return None
    return Change(push, replace(push, rev=push.rev + 1), rebuilds_job=True)


def replayed(push: Push, by: str, why: str, now: datetime) -> Change | None:
    """Give a dead push fresh attempts at an operator's word. None when it is not dead."""
    if push.state is not State.DEAD:
        return None
    entry = Entry(now, "replayed", detail=f"was {push.reason}: {why}", by=by)
    another = replace(with_fresh_attempts(push, now), rev=push.rev + 1, lane=Lane.BACKLOG)
    return Change(push, another, (entry,))


def discarded(push: Push, by: str, why: str, now: datetime) -> Change | None:
    """Put a dead push away at an operator's word: later pushes of it are counted, not revived.

    None when it is not dead, or discarded already.
    """
    if push.state is not State.DEAD or push.discarded:
        return None
    after = replace(push, rev=push.rev + 1, changed_at=now, discarded=True, unreadable=None)
    return Change(push, after, (Entry(now, "discarded", detail=why, by=by),))
