"""Fraud notifications: what one means for the record of its order, and when it is verified. Pure.

Klarna POSTs one when it has decided about the risk of an order that was pending, or stops an order
later (Klarna docs, "Pending orders"). Like a push it proves nothing by itself. So it is due on the
record, in `fraud_event`, until an attempt has seen in Klarna's API what it says: one more step of
the attempt, before the acknowledge. A record that only a notification has brought into the queue is
`only_notified`: then nothing is acknowledged, since nobody pushed that order to us, or it is
acknowledged already.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pushes import life, policy
from pushes.model import Change, Entry, Lane, Push, PushKey, Reason, State
from pushes.origin import Origin, target_of

# The event of a notification in the timeline.
NOTIFIED = "notified"

# What Klarna's API shows after each event, in `fraud_status`. That STOPPED may be shown as a
# rejection is assumed.
_SHOWN = {
    "FRAUD_RISK_ACCEPTED": frozenset({"ACCEPTED"}),
    "FRAUD_RISK_REJECTED": frozenset({"REJECTED"}),
    "FRAUD_RISK_STOPPED": frozenset({"STOPPED", "REJECTED"}),
}

# The event of a verified notification in the timeline. Klarna may add words.
_VERIFIED = {
    "FRAUD_RISK_ACCEPTED": "fraud_accepted",
    "FRAUD_RISK_REJECTED": "fraud_rejected",
    "FRAUD_RISK_STOPPED": "fraud_stopped",
}
_UNKNOWN = "fraud_unknown"

_EVENT_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class FraudLook:
    """What Klarna's API showed when a notification was to be verified.

    `delay` is how long to wait before another look when the two disagree; None: no more looks.
    `awaits_shop`: the decision is still to be handed over to the merchant's own system.
    """

    event: str
    shown: str | None
    delay: timedelta | None
    awaits_shop: bool = False

    @property
    def agrees(self) -> bool:
        """Whether it is shown what the notification says; of an unknown event nobody can tell."""
        return _agree(self.event, self.shown)


def is_event_type(text: str) -> bool:
    """Whether `text` can be the kind of a notification."""
    return _EVENT_TYPE.fullmatch(text) is not None


def decision_of(event: str) -> str:
    """Name what Klarna has decided by a notification of this kind."""
    return _VERIFIED.get(event, _UNKNOWN)


def first_notified(key: PushKey, event: str, now: datetime, origin: Origin) -> Change:
    """Take in a notification of an order that was never pushed: queue it, to be verified only."""
    push = Push(
        key,
        State.QUEUED,
        1,
        now,
        now,
        now,
        lane=origin.lane,
        source=origin.source,
        trace=origin.trace,
        fraud_event=event,
        notified_at=now,
        only_notified=True,
    )
    return Change(None, push, (Entry(now, NOTIFIED, detail=event),))


def notified(push: Push, event: str, now: datetime, origin: Origin) -> Change | None:
    """Take in a notification of a known order. None when it is known already, or nobody's concern.

    What waits is verified with the next attempt, what is settled is queued for that alone.
    """
    if push.fraud_event == event or _is_verified(push, event, now):
        return None
    if push.discarded or _is_unknown_of_late(push, now):
        return None
    # A flood of changing notifications must not wash the history out of the timeline.
    noted = push.fraud_event is None or now - push.changed_at >= policy.PUSHES_NOTED_APART
    entries = (Entry(now, NOTIFIED, detail=event),) if noted else ()
    due = replace(push, rev=push.rev + 1, fraud_event=event, unreadable=None)
    due = replace(due, trace=origin.trace or push.trace)
    if event != push.fraud_seen:  # a decision of its own; else Klarna repeats what it has said
        due = replace(due, notified_at=now, decision_handed_over_at=None)
    if push.state.is_settled:
        lane = origin.lane if push.verified_at is None else Lane.BACKLOG
        if push.fraud_seen and now - push.changed_at < policy.EXPEDITED_AFTER:
            lane = Lane.UNKNOWN  # one after the other: a forger gets a small share of the quota
        after = replace(life.with_fresh_attempts(due, now), only_notified=True, lane=lane)
    elif push.state is State.DEAD:
        # As with a push, what was spent on looking for an order nobody knows stays spent.
        looked_for = push.not_found if push.reason is Reason.NO_SUCH_ORDER else 0
        lane = Lane.UNKNOWN if looked_for else push.lane
        after = replace(life.with_fresh_attempts(due, now), not_found=looked_for, lane=lane)
    elif _can_be_expedited(push, now):
        queued = life.waiting_no_longer(due, now)
        after = replace(queued, rev=due.rev, failures=push.failures - push.after_failure)
    else:
        after = due
    return Change(push, after, entries)


def pushed_again(push: Push, now: datetime, origin: Origin) -> Change:
    """Take in a push of a known order, as `life.pushed_again` does; acknowledging is due by it.

    Unless the order was acknowledged just now.
    """
    heard = push.acknowledged_at
    is_due = heard is None or now - heard >= policy.ALREADY_ACKNOWLEDGED
    if push.discarded or not is_due or (push.pushes and not push.only_notified):
        return life.pushed_again(push, now, origin)
    entry = Entry(now, origin.event, detail="was only notified", by=origin.by)
    counted = replace(
        push,
        rev=push.rev + 1,
        pushes=push.pushes + 1,
        first_push_at=push.first_push_at if push.pushes and now < push.deadline_at else now,
        last_push_at=now,
        only_notified=False,
        unreadable=None,
        trace=origin.trace or push.trace,
        push_target=target_of(push, origin),
    )
    if push.state in {State.QUEUED, State.RUNNING, State.HELD} or push.runs_alone:
        return Change(push, counted, (entry,))
    another = replace(life.with_fresh_attempts(counted, now), lane=origin.lane)
    return Change(push, another, (entry,))


def looked(push: Push, now: datetime) -> Change:
    """End an attempt that had only a notification to verify: nothing was acknowledged.

    Pushed meanwhile, the order is queued again, to be acknowledged.
    """
    change = life.not_needed(push, now)
    if not push.only_notified:
        state = State.QUEUED
    elif push.acknowledged_at:
        state = State.ACKNOWLEDGED
    else:
        state = State.NOT_NEEDED
    return replace(change, after=replace(change.after, state=state), entries=())


def settled(change: Change, look: FraudLook | None, now: datetime) -> Change:
    """Add to the end of an attempt what it saw of a notification, or leave that due.

    An order whose push is settled goes on for its notification: it is queued again when that came
    meanwhile or is still to be handed over, and looked at later, then dead, when Klarna's API shows
    something else.
    """
    after = change.after
    if look and look.event == after.fraud_event:
        if not look.agrees:
            return _disagreed(change, look, now) if after.state.is_settled else change
        if not look.awaits_shop:
            return _forget(_verified(change, look, now))
    if after.fraud_event and after.state.is_settled:
        again = replace(after, only_notified=True, lane=Lane.BACKLOG)
        return replace(change, after=life.with_fresh_attempts(again, now))
    return _forget(change)


def _verified(change: Change, look: FraudLook, now: datetime) -> Change:
    shown = f"Klarna shows {look.shown or 'no fraud status'}"
    event = decision_of(look.event)
    entry = Entry(now, event, detail=shown if event != _UNKNOWN else f"{look.event}: {shown}")
    after = replace(change.after, fraud_event=None, fraud_seen=look.event)
    return replace(change, after=after, entries=(*change.entries, entry))


def _disagreed(change: Change, look: FraudLook, now: datetime) -> Change:
    """Plan another look at what is settled otherwise, or leave it to an operator."""
    error = f"the notification says {look.event}, Klarna shows {look.shown or 'no fraud status'}"
    after = replace(change.after, only_notified=True, last_error=error)
    if look.delay is None:
        after = replace(after, state=State.DEAD, reason=Reason.FRAUD_MISMATCH)
        entry = Entry(now, "dead", detail=f"{Reason.FRAUD_MISMATCH}: {error}")
    else:
        after = replace(
            after,
            state=State.RETRYING,
            failures=1 + (failures_before(change.before) if change.before else 0),
            next_attempt_at=now + look.delay,
            after_failure=True,
            lane=Lane.BACKLOG,
        )
        entry = Entry(now, "retrying", detail=error)
    return replace(change, after=after, entries=(*change.entries, entry))


def _forget(change: Change) -> Change:
    """Forget of what is settled that only a notification brought it here."""
    after = change.after
    if after.only_notified and after.state.is_settled:
        return replace(change, after=replace(after, only_notified=False))
    return change


def failures_before(push: Push) -> int:
    """Return how many looks at a notification have disagreed already."""
    return push.failures if push.only_notified else 0


def _agree(event: str, shown: str | None) -> bool:
    expected = _SHOWN.get(event)
    return expected is None or shown in expected


def _is_verified(push: Push, event: str, now: datetime) -> bool:
    """Whether this very notification was verified just now."""
    seen_at = push.verified_at
    lately = seen_at is not None and now - seen_at < policy.ALREADY_ACKNOWLEDGED
    return lately and push.fraud_seen == event


def _is_unknown_of_late(push: Push, now: datetime) -> bool:
    """Whether Klarna did not know the order just now: it is not looked for again yet."""
    is_unknown = push.state is State.DEAD and push.reason is Reason.NO_SUCH_ORDER
    return is_unknown and now - push.changed_at < policy.UNKNOWN_REMEMBERED


def _can_be_expedited(push: Push, now: datetime) -> bool:
    """Whether a real order that is retrying may be looked at now: not often, as with pushes."""
    return (
        push.state is State.RETRYING
        and not push.runs_alone
        and push.verified_at is not None
        and now - push.changed_at >= policy.EXPEDITED_AFTER
    )
