"""What a fraud notification does to a record, in every state, and when it counts as verified."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pushes import fraud, life
from pushes.fraud import FraudLook
from pushes.model import Change, Entry, Lane, OrderSnapshot, Push, Reason, State
from pushes.origin import Origin
from pushes.policy import ALREADY_ACKNOWLEDGED, EXPEDITED_AFTER
from pushes.store.codec import decode, encode
from tests.builders import NOW, a_key, a_push

ACCEPTED, REJECTED, STOPPED = (f"FRAUD_RISK_{word}" for word in ("ACCEPTED", "REJECTED", "STOPPED"))
LATER = NOW + timedelta(minutes=7)
FROM = Origin(source="192.0.2.0/24", lane=Lane.BACKLOG)
SOON = timedelta(seconds=5)


def notified(push: Push, event: str = ACCEPTED, now: datetime = LATER) -> Push | None:
    change = fraud.notified(push, event, now, FROM)
    return change.after if change else None


def due(state: State, event: str = ACCEPTED) -> Push:
    """A record on which a notification is due."""
    push = notified(a_push(state))
    assert push
    return replace(push, fraud_event=event)


def running(push: Push) -> Push:
    started = life.started(push, "worker-1", "a" * 32, LATER)
    assert started
    return started.after


def ended(change: Change, look: FraudLook | None = None) -> Change:
    return fraud.settled(change, look, LATER)


def test_it_queues_an_order_that_was_never_pushed_to_be_looked_at_only() -> None:
    key = a_key()
    change = fraud.first_notified(key, ACCEPTED, NOW, FROM)
    assert change.after == Push(
        key,
        State.QUEUED,
        1,
        NOW,
        NOW,
        NOW,
        lane=Lane.BACKLOG,
        source="192.0.2.0/24",
        fraud_event=ACCEPTED,
        notified_at=NOW,
        only_notified=True,
    )
    assert change.entries == (Entry(NOW, "notified", detail=ACCEPTED),)
    assert not change.after.is_unacknowledged


@pytest.mark.parametrize("state", [State.ACKNOWLEDGED, State.NOT_NEEDED])
def test_it_queues_what_is_settled_to_be_looked_at_only(state: State) -> None:
    push = a_push(state, acknowledged_at=NOW if state is State.ACKNOWLEDGED else None)
    assert notified(push) == replace(
        push,
        state=State.QUEUED,
        rev=push.rev + 1,
        changed_at=LATER,
        fraud_event=ACCEPTED,
        notified_at=LATER,
        only_notified=True,
        lane=Lane.BACKLOG,
    )


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.HELD, State.RETRYING])
def test_it_is_due_with_the_next_attempt_of_what_waits(state: State) -> None:
    push = a_push(state)
    assert notified(push) == replace(
        push, rev=push.rev + 1, fraud_event=ACCEPTED, notified_at=LATER
    )


def test_it_looks_at_once_at_a_real_order_that_is_retrying_but_not_often() -> None:
    push = a_push(State.RETRYING, verified_at=NOW)
    soon = notified(push, now=NOW + EXPEDITED_AFTER - SOON)
    assert soon
    assert soon.state is State.RETRYING
    after = notified(push, now=NOW + EXPEDITED_AFTER)
    assert after
    assert (after.state, after.rev, after.failures, after.next_attempt_at) == (
        State.QUEUED,
        push.rev + 1,
        push.failures - 1,
        None,
    )
    alone = notified(replace(push, crashes=1), now=NOW + EXPEDITED_AFTER)
    assert alone
    assert alone.state is State.RETRYING


def test_it_revives_a_dead_letter_unless_it_is_discarded_or_unknown_of_late() -> None:
    dead = a_push(State.DEAD, reason=Reason.REJECTED)
    after = notified(dead)
    assert after
    assert (after.state, after.only_notified, after.fraud_event) == (State.QUEUED, False, ACCEPTED)
    assert notified(replace(dead, discarded=True)) is None
    unknown = replace(dead, reason=Reason.NO_SUCH_ORDER, not_found=6)
    assert notified(unknown, now=NOW + SOON) is None
    looked_for = notified(unknown)
    assert looked_for
    assert (looked_for.not_found, looked_for.lane) == (6, Lane.UNKNOWN)


def test_it_changes_nothing_by_what_is_known_already() -> None:
    assert notified(due(State.QUEUED)) is None
    seen = a_push(State.ACKNOWLEDGED, fraud_seen=ACCEPTED, verified_at=NOW)
    assert notified(seen, now=NOW + ALREADY_ACKNOWLEDGED - SOON) is None
    assert notified(seen, now=NOW + ALREADY_ACKNOWLEDGED)
    assert notified(seen, REJECTED, NOW + SOON)
    assert notified(seen, "FRAUD_RISK_NEW", NOW + SOON)


def test_it_takes_what_klarna_has_shown_before_for_no_notification() -> None:
    """The acknowledge a moment ago saw it; nobody had notified us."""
    shown = OrderSnapshot(fraud_status="ACCEPTED")
    push = notified(a_push(State.ACKNOWLEDGED, order=shown, verified_at=NOW), now=NOW + SOON)
    assert push
    assert (push.state, push.lane) == (State.QUEUED, Lane.BACKLOG)


def test_it_lets_one_notification_after_the_other_have_a_small_share() -> None:
    push = a_push(State.ACKNOWLEDGED, fraud_seen=ACCEPTED, verified_at=NOW)
    soon = notified(push, REJECTED, push.changed_at + EXPEDITED_AFTER - SOON)
    assert soon
    assert (soon.state, soon.lane) == (State.QUEUED, Lane.UNKNOWN)
    later = notified(push, REJECTED, push.changed_at + EXPEDITED_AFTER)
    assert later
    assert later.lane is Lane.BACKLOG


def test_it_keeps_a_flood_of_notifications_out_of_the_timeline() -> None:
    push = due(State.QUEUED)
    changed = push.changed_at
    assert fraud.notified(push, REJECTED, changed + SOON, FROM).entries == ()  # type: ignore[union-attr]  # it changes
    later = fraud.notified(push, REJECTED, changed + timedelta(minutes=1), FROM)
    assert later
    assert later.entries == (Entry(changed + timedelta(minutes=1), "notified", detail=REJECTED),)


@pytest.mark.parametrize(
    ("event", "shown", "noted", "detail"),
    [
        (ACCEPTED, "ACCEPTED", "fraud_accepted", "Klarna shows ACCEPTED"),
        (REJECTED, "REJECTED", "fraud_rejected", "Klarna shows REJECTED"),
        (STOPPED, "STOPPED", "fraud_stopped", "Klarna shows STOPPED"),
        (STOPPED, "REJECTED", "fraud_stopped", "Klarna shows REJECTED"),
        ("X_NEW", "PENDING", "fraud_unknown", "X_NEW: Klarna shows PENDING"),
        ("X_NEW", None, "fraud_unknown", "X_NEW: Klarna shows no fraud status"),
    ],
)
def test_it_notes_what_klarna_shows_as_well(
    event: str, shown: str | None, noted: str, detail: str
) -> None:
    push = running(due(State.QUEUED, event))
    change = ended(life.acknowledged(push, LATER), FraudLook(event, shown, SOON))
    assert change.after == replace(
        life.acknowledged(push, LATER).after, fraud_event=None, fraud_seen=event
    )
    assert change.entries == (
        Entry(LATER, "acknowledged"),
        Entry(LATER, noted, detail=detail),
    )


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (ACCEPTED, "PENDING"),
        (ACCEPTED, "REJECTED"),
        (ACCEPTED, None),
        (REJECTED, "ACCEPTED"),
        (REJECTED, "STOPPED"),
        (STOPPED, "ACCEPTED"),
    ],
)
def test_it_looks_again_at_what_klarna_shows_otherwise(event: str, shown: str | None) -> None:
    push = running(due(State.QUEUED, event))
    change = ended(life.acknowledged(push, LATER), FraudLook(event, shown, SOON))
    error = f"the notification says {event}, Klarna shows {shown or 'no fraud status'}"
    assert change.after == replace(
        life.acknowledged(push, LATER).after,
        state=State.RETRYING,
        failures=1,
        next_attempt_at=LATER + SOON,
        after_failure=True,
        last_error=error,
        lane=Lane.BACKLOG,
        only_notified=True,
    )
    assert change.entries[-1] == Entry(LATER, "retrying", detail=error)
    assert not change.after.is_unacknowledged


def test_it_counts_the_looks_and_leaves_the_last_one_to_an_operator() -> None:
    push = running(due(State.ACKNOWLEDGED, REJECTED))
    assert fraud.failures_before(push) == 0
    again = ended(fraud.looked(push, LATER), FraudLook(REJECTED, "ACCEPTED", SOON)).after
    assert (again.state, again.failures, fraud.failures_before(again)) == (State.RETRYING, 1, 1)
    last = ended(fraud.looked(running(again), LATER), FraudLook(REJECTED, "ACCEPTED", None))
    assert (last.after.state, last.after.reason) == (State.DEAD, Reason.FRAUD_MISMATCH)
    assert last.entries == (
        Entry(
            LATER,
            "dead",
            detail=f"fraud_mismatch: the notification says {REJECTED}, Klarna shows ACCEPTED",
        ),
    )
    assert not last.after.is_unacknowledged
    replayed = life.replayed(last.after, "ops", "they agree now", LATER)
    assert replayed
    assert (replayed.after.only_notified, replayed.after.fraud_event) == (True, REJECTED)


@pytest.mark.parametrize("acknowledged_at", [NOW, None])
def test_it_puts_back_what_was_only_looked_at(acknowledged_at: datetime | None) -> None:
    push = running(replace(due(State.ACKNOWLEDGED), acknowledged_at=acknowledged_at))
    change = ended(fraud.looked(push, LATER), FraudLook(ACCEPTED, "ACCEPTED", SOON))
    assert change.after.state is (State.ACKNOWLEDGED if acknowledged_at else State.NOT_NEEDED)
    assert (change.after.acknowledged_at, change.after.only_notified) == (acknowledged_at, False)
    assert [entry.event for entry in change.entries] == ["fraud_accepted"]


def test_it_goes_on_for_a_notification_that_came_during_the_attempt() -> None:
    push = replace(running(a_push(State.QUEUED)), fraud_event=ACCEPTED)
    for look in (None, FraudLook(REJECTED, "REJECTED", SOON)):
        change = ended(life.acknowledged(push, LATER), look)
        assert (change.after.state, change.after.only_notified) == (State.QUEUED, True)
        assert (change.after.fraud_event, change.after.acknowledged_at) == (ACCEPTED, LATER)
        assert change.entries == (Entry(LATER, "acknowledged"),)


def test_it_stays_due_while_the_push_is_not_settled() -> None:
    push = running(due(State.QUEUED))
    failed = life.retrying(push, LATER + SOON, LATER, error="HTTP 500", failed=True)
    assert ended(failed) == failed
    assert ended(failed, FraudLook(ACCEPTED, "PENDING", SOON)) == failed
    seen = ended(failed, FraudLook(ACCEPTED, "ACCEPTED", SOON))
    assert seen.after == replace(failed.after, fraud_event=None, fraud_seen=ACCEPTED)


def test_it_stays_due_until_the_shop_has_it_and_holds_no_acknowledge_up() -> None:
    push = running(due(State.QUEUED))
    look = FraudLook(ACCEPTED, "ACCEPTED", SOON, awaits_shop=True)

    failed = life.retrying(push, LATER + SOON, LATER, error="HTTP 500", failed=True)
    assert ended(failed, look) == failed
    change = ended(life.acknowledged(push, LATER), look)

    after = change.after
    assert (after.state, after.only_notified, after.lane) == (State.QUEUED, True, Lane.BACKLOG)
    assert (after.fraud_event, after.fraud_seen, after.acknowledged_at) == (ACCEPTED, None, LATER)
    assert change.entries == (Entry(LATER, "acknowledged"),)


def test_a_decision_is_one_until_klarna_says_something_else() -> None:
    told = a_push(
        State.ACKNOWLEDGED,
        fraud_seen=ACCEPTED,
        notified_at=NOW,
        decision_handed_over_at=NOW,
        verified_at=NOW,
    )
    repeated, stopped = notified(told), notified(told, STOPPED)
    assert repeated
    assert (repeated.notified_at, repeated.decision_handed_over_at) == (NOW, NOW)
    assert stopped
    assert (stopped.notified_at, stopped.decision_handed_over_at) == (LATER, None)


def test_it_lets_nothing_be_changed_without_a_notification() -> None:
    change = life.acknowledged(running(a_push(State.QUEUED)), LATER)
    assert ended(change) is change


@pytest.mark.parametrize("state", [State.QUEUED, State.HELD, State.RUNNING])
def test_it_lets_a_push_be_acknowledged_that_was_only_notified(state: State) -> None:
    first = fraud.first_notified(a_key(), ACCEPTED, NOW, FROM).after
    push = replace(first, state=state)
    change = fraud.pushed_again(push, LATER, Origin())
    assert change.after == replace(
        push,
        rev=2,
        pushes=1,
        first_push_at=LATER,
        last_push_at=LATER,
        only_notified=False,
    )
    assert change.entries == (Entry(LATER, "pushed", detail="was only notified"),)


@pytest.mark.parametrize("state", [State.NOT_NEEDED, State.RETRYING, State.DEAD])
def test_it_queues_a_push_of_what_was_only_notified_at_once(state: State) -> None:
    """Its record says that there was nothing to acknowledge: that was no push's."""
    first = fraud.first_notified(a_key(), ACCEPTED, NOW, FROM).after
    reason = Reason.FRAUD_MISMATCH if state is State.DEAD else None
    push = replace(first, state=state, reason=reason)
    after = fraud.pushed_again(push, NOW + SOON, Origin()).after
    assert (after.state, after.only_notified, after.pushes) == (State.QUEUED, False, 1)
    assert (after.first_push_at, after.lane, after.reason) == (NOW + SOON, Lane.FRESH, None)


def test_it_lets_a_push_wait_for_the_process_alone_and_a_discarded_one_rest() -> None:
    first = fraud.first_notified(a_key(), ACCEPTED, NOW, FROM).after
    alone = replace(first, state=State.RETRYING, crashes=1)
    after = fraud.pushed_again(alone, LATER, Origin()).after
    assert (after.state, after.only_notified) == (State.RETRYING, False)
    discarded = replace(first, state=State.DEAD, discarded=True, reason=Reason.FRAUD_MISMATCH)
    assert fraud.pushed_again(discarded, LATER, Origin()).after.state is State.DEAD


def test_it_acknowledges_nothing_again_that_was_acknowledged_just_now() -> None:
    push = due(State.ACKNOWLEDGED)
    assert push.acknowledged_at == NOW
    counted = fraud.pushed_again(push, NOW + SOON, Origin()).after
    assert (counted.state, counted.only_notified, counted.pushes) == (State.QUEUED, True, 2)
    unheard = fraud.pushed_again(push, NOW + ALREADY_ACKNOWLEDGED, Origin()).after
    assert (unheard.state, unheard.only_notified) == (State.QUEUED, False)


def test_it_acknowledges_what_is_pushed_while_it_is_only_looked_at() -> None:
    first = fraud.first_notified(a_key(), ACCEPTED, NOW, FROM).after
    pushed = fraud.pushed_again(running(first), LATER, Origin()).after
    change = ended(fraud.looked(pushed, LATER), FraudLook(ACCEPTED, "ACCEPTED", SOON))
    assert (change.after.state, change.after.only_notified) == (State.QUEUED, False)
    assert change.after.fraud_event is None


def test_it_treats_every_other_push_as_ever() -> None:
    for state in State:
        push = a_push(state)
        assert fraud.pushed_again(push, LATER, Origin()) == life.pushed_again(push, LATER)


@pytest.mark.parametrize("state", list(State))
def test_it_is_kept_in_the_record(state: State) -> None:
    push = a_push(
        state,
        fraud_event=ACCEPTED,
        fraud_seen=STOPPED,
        only_notified=True,
        notified_at=NOW,
        decision_handed_over_at=LATER,
    )
    assert decode(push.key, encode(push)) == push


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (ACCEPTED, True),
        ("x-New.1", True),
        ("", False),
        ("a b", False),
        ("a" * 65, False),
        ("Ä", False),
    ],
)
def test_it_knows_a_kind_of_notification_by_its_shape(text: str, is_one: bool) -> None:  # noqa: FBT001 - a row of the table
    assert fraud.is_event_type(text) is is_one
