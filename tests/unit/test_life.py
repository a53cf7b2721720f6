from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from pushes import life, policy
from pushes.model import (
    TRUSTED,
    Change,
    Entry,
    HoldReason,
    Lane,
    OrderSnapshot,
    Push,
    Reason,
    State,
)
from pushes.origin import Origin
from tests.builders import NOW, a_key, a_push

LATER = NOW + timedelta(minutes=10)
SOON = NOW + timedelta(minutes=1)


def after(change: Change | None) -> Push:
    assert change is not None
    assert change.after.rev == (change.before.rev + 1 if change.before else 1)
    return change.after


def test_it_queues_the_first_push_of_an_order() -> None:
    key = a_key()

    change = life.first_pushed(key, NOW)

    assert change.after == Push(key, State.QUEUED, 1, NOW, NOW, NOW, pushes=1)
    assert [entry.event for entry in change.entries] == ["pushed"]


def test_the_first_push_says_what_a_plugin_gets_unless_a_trusted_one_says_otherwise() -> None:
    first = life.first_pushed(a_key(), NOW, Origin(target="?a=1")).after
    other, trusted = Origin(target="?a=2"), Origin(target="?a=3", source=TRUSTED)

    assert first.push_target == "?a=1"
    assert after(life.pushed_again(first, SOON, other)).push_target == "?a=1"
    assert after(life.pushed_again(first, SOON, trusted)).push_target == "?a=3"
    assert after(life.pushed_again(first, SOON)).push_target == "?a=1"
    assert after(life.pushed_again(a_push(), SOON, other)).push_target == "?a=2"
    told = a_push(handed_over_at=NOW)
    assert after(life.pushed_again(told, SOON, trusted)).push_target is None


@pytest.mark.parametrize(
    "state", [State.QUEUED, State.RUNNING, State.RETRYING, State.HELD, State.ACKNOWLEDGED]
)
def test_it_counts_another_push_and_changes_nothing_else(state: State) -> None:
    push = a_push(state)

    counted = after(life.pushed_again(push, SOON))

    assert counted == replace(push, rev=push.rev + 1, pushes=2, last_push_at=SOON)


@pytest.mark.parametrize("state", [State.ACKNOWLEDGED, State.NOT_NEEDED])
def test_it_acknowledges_again_what_klarna_still_pushes_five_minutes_later(state: State) -> None:
    push = a_push(state)

    assert after(life.pushed_again(push, NOW + timedelta(minutes=4, seconds=59))).state is state
    again = after(life.pushed_again(push, NOW + timedelta(minutes=5)))
    assert (again.state, again.pushes, again.first_push_at) == (State.QUEUED, 2, NOW)


def test_it_revives_a_dead_push_with_fresh_attempts() -> None:
    push = a_push(State.DEAD, reason=Reason.RETRIES_EXHAUSTED, failures=6, not_found=5, crashes=2)

    revived = after(life.pushed_again(push, SOON))

    assert revived.state is State.QUEUED
    assert (revived.failures, revived.not_found, revived.crashes) == (0, 0, 0)
    assert (revived.reason, revived.last_error, revived.attempts) == (None, None, push.attempts)


def test_it_only_counts_pushes_of_an_order_that_klarna_did_not_know_minutes_ago() -> None:
    push = a_push(State.DEAD, not_found=5)
    repeated = NOW + timedelta(minutes=4, seconds=59)

    counted = after(life.pushed_again(push, repeated))

    assert counted == replace(push, rev=push.rev + 1, pushes=2, last_push_at=repeated)


def test_it_gives_an_order_that_klarna_did_not_know_a_single_look() -> None:
    push = a_push(State.DEAD, failures=3, not_found=5, crashes=2)

    revived = after(life.pushed_again(push, NOW + timedelta(minutes=5)))

    assert (revived.state, revived.reason) == (State.QUEUED, None)
    assert (revived.failures, revived.not_found, revived.crashes) == (0, 5, 0)


def test_it_looks_as_often_as_at_first_for_what_an_operator_pushes_or_replays() -> None:
    push = a_push(State.DEAD, not_found=5)

    pushed = after(life.pushed_again(push, SOON, Origin("pushed_by_operator", "mia")))
    replayed = after(life.replayed(push, "mia", "region corrected", SOON))

    assert (pushed.state, pushed.not_found) == (State.QUEUED, 0)
    assert (replayed.state, replayed.not_found) == (State.QUEUED, 0)


def test_it_opens_48_hours_anew_when_klarna_pushes_after_they_were_over() -> None:
    push = a_push(State.ACKNOWLEDGED)
    much_later = NOW + timedelta(days=10)

    again = after(life.pushed_again(push, much_later))

    assert (again.state, again.first_push_at) == (State.QUEUED, much_later)


def test_it_leaves_a_discarded_push_dead() -> None:
    discarded = after(life.discarded(a_push(State.DEAD), "ops", "a test order", NOW))

    counted = after(life.pushed_again(discarded, LATER))

    assert (counted.state, counted.discarded, counted.pushes) == (State.DEAD, True, 2)


def test_it_gives_repeats_within_a_minute_no_line_of_their_own() -> None:
    push = a_push(State.RETRYING)

    assert life.pushed_again(push, NOW + timedelta(seconds=59)).entries == ()
    assert len(life.pushed_again(push, NOW + timedelta(seconds=60)).entries) == 1


def test_it_expedites_a_retry_after_a_failure_that_klarna_pushes_again() -> None:
    waiting = a_push(State.RETRYING, failures=3)

    change = life.pushed_again(waiting, NOW + timedelta(minutes=4))

    expedited = after(change)
    assert (expedited.state, expedited.next_attempt_at, expedited.pushes) == (State.QUEUED, None, 2)
    assert [(one.event, one.detail) for one in change.entries] == [
        ("pushed", "was retrying, tried at once")
    ]
    running = after(life.started(expedited, "w", "d" * 32, LATER))
    again = after(life.retrying(running, LATER, LATER, error="e", failed=True))
    assert again.failures == waiting.failures  # the attempt took the place of the planned one


def test_it_forces_no_attempt_by_repeats_within_four_minutes() -> None:
    waiting = a_push(State.RETRYING)
    soon = NOW + timedelta(minutes=3, seconds=59)

    assert after(life.pushed_again(waiting, soon)).state is State.RETRYING


@pytest.mark.parametrize("not_found", [True, False])
def test_it_expedites_no_retry_that_klarna_or_the_order_asked_for(not_found: bool) -> None:  # noqa: FBT001 - a parameter of the table
    running = a_push(State.RUNNING, failures=1)
    waiting = after(life.retrying(running, LATER, NOW, error="e", not_found=not_found))

    assert after(life.pushed_again(waiting, LATER)).state is State.RETRYING


def test_it_does_not_hasten_what_is_held() -> None:
    held = a_push(State.HELD, failures=1)

    assert after(life.pushed_again(held, LATER)).state is State.HELD


@pytest.mark.parametrize("state", [State.QUEUED, State.RETRYING, State.HELD])
def test_it_starts_an_attempt(state: State) -> None:
    push = a_push(state)

    running = after(life.started(push, "worker-2", "b" * 32, SOON))

    assert (running.state, running.worker, running.execution_id) == (
        State.RUNNING,
        "worker-2",
        "b" * 32,
    )
    assert (running.attempts, running.next_attempt_at, running.reason) == (
        push.attempts + 1,
        None,
        None,
    )


@pytest.mark.parametrize("state", [State.RUNNING, State.ACKNOWLEDGED, State.NOT_NEEDED])
def test_it_starts_nothing_where_nothing_is_to_be_attempted(state: State) -> None:
    assert life.started(a_push(state), "worker-2", "b" * 32, SOON) is None


def test_it_starts_a_dead_push_afresh_when_its_job_was_requeued_by_hand() -> None:
    running = after(life.started(a_push(State.DEAD, failures=6), "worker-2", "b" * 32, SOON))

    assert (running.state, running.failures) == (State.RUNNING, 0)


def test_it_keeps_the_idempotency_window_for_24_hours() -> None:
    first = after(life.started(a_push(), "w", "a" * 32, NOW))
    waiting = after(life.crashed(first, NOW))

    within = life.started(waiting, "w", "b" * 32, NOW + timedelta(hours=23, minutes=59))
    beyond = life.started(waiting, "w", "b" * 32, NOW + timedelta(hours=24))

    assert after(within).idempotent_since == NOW
    assert after(beyond).idempotent_since == NOW + timedelta(hours=24)


def test_it_uses_a_key_again_until_klarna_has_judged_the_order() -> None:
    push = a_push(State.RUNNING)

    not_judged = [
        life.retrying(push, SOON, NOW, error="HTTP 429"),
        life.held(push, HoldReason.CREDENTIALS, NOW, "HTTP 401"),
        life.retrying(push, SOON, NOW, error="HTTP 503", failed=True),
        life.dead(push, Reason.RETRIES_EXHAUSTED, NOW, "HTTP 503"),
        life.crashed(push, NOW),
        life.released(push, NOW),
    ]
    judged = [
        life.acknowledged(push, NOW),
        life.not_needed(push, NOW),
        life.retrying(push, SOON, NOW, error="HTTP 404", not_found=True),
        life.dead(push, Reason.NOT_ALLOWED, NOW, "HTTP 403"),
    ]

    assert {after(change).idempotent_since for change in not_judged} == {NOW}
    assert {after(change).idempotent_since for change in judged} == {None}


def test_it_spends_what_the_failure_was_about() -> None:
    push = a_push(State.RUNNING)

    failed = after(life.retrying(push, SOON, NOW, error="e", failed=True))
    unseen = after(life.retrying(push, SOON, NOW, error="e", not_found=True))
    limited = after(life.retrying(push, SOON, NOW, error="e"))

    assert (failed.failures, failed.not_found) == (1, 0)
    assert (unseen.failures, unseen.not_found) == (0, 1)
    assert (limited.failures, limited.not_found) == (0, 0)
    assert limited.next_attempt_at == SOON


def test_it_holds_without_spending_anything() -> None:
    push = a_push(State.RUNNING)

    held = after(life.held(push, HoldReason.CREDENTIALS, NOW, "HTTP 401"))

    assert (held.state, held.reason, held.failures) == (State.HELD, HoldReason.CREDENTIALS, 0)


def test_it_queues_what_is_due() -> None:
    queued = after(life.due(a_push(State.RETRYING), SOON))

    assert not queued.after_failure
    assert (queued.state, queued.reason, queued.next_attempt_at) == (State.QUEUED, None, None)
    assert queued.lane is Lane.BACKLOG


def test_it_serves_what_klarna_does_not_know_apart() -> None:
    def lane_after_404(push: Push) -> Lane:
        retrying = life.retrying(push, SOON, NOW, error="HTTP 404", not_found=True).after
        return after(life.due(retrying, SOON)).lane

    assert lane_after_404(a_push(State.RUNNING)) is Lane.UNKNOWN
    assert lane_after_404(a_push(State.RUNNING, verified_at=NOW)) is Lane.BACKLOG


def test_a_strangers_push_stays_apart_until_klarna_has_shown_the_order() -> None:
    push = a_push(State.RUNNING, lane=Lane.UNKNOWN)
    failed = life.retrying(push, SOON, NOW, error="HTTP 503", failed=True).after

    assert after(life.due(failed, SOON)).lane is Lane.UNKNOWN
    assert after(life.due(replace(failed, verified_at=NOW), SOON)).lane is Lane.BACKLOG


def test_it_parks_what_is_queued_and_queues_it_again() -> None:
    held = after(life.parked(a_push(State.QUEUED), HoldReason.OUTAGE, NOW))
    queued = after(life.resumed(held, SOON))

    assert (held.state, held.reason, held.attempts) == (State.HELD, HoldReason.OUTAGE, 0)
    assert (queued.state, queued.reason, queued.lane) == (State.QUEUED, None, Lane.BACKLOG)


def test_it_notes_who_paused_an_account_and_who_resumed_it() -> None:
    parked = life.parked(a_push(State.QUEUED), HoldReason.OPERATOR, NOW, cause="moving", by="anna")
    assert parked
    assert parked.entries == (Entry(NOW, "held", detail="operator: moving", by="anna"),)
    resumed = life.resumed(parked.after, SOON, by="ops", why="moved")
    assert resumed
    assert resumed.entries == (Entry(SOON, "resumed", detail="moved", by="ops"),)


def test_an_operator_tries_at_once_what_waits_for_a_time() -> None:
    waiting = a_push(State.RETRYING, failures=3, after_failure=True)
    change = life.retried(waiting, "anna", "Klarna is back", SOON)
    assert change
    assert change.entries == (Entry(SOON, "retried", detail="Klarna is back", by="anna"),)
    assert change.after == replace(
        waiting,
        state=State.QUEUED,
        lane=Lane.BACKLOG,
        rev=waiting.rev + 1,
        changed_at=SOON,
        failures=2,
        next_attempt_at=None,
        after_failure=False,
    )


@pytest.mark.parametrize(("not_found", "left"), [(3, 2), (0, 0)])
def test_an_operators_retry_uses_up_no_look_for_an_unknown_order(not_found: int, left: int) -> None:
    waiting = a_push(State.RETRYING, failures=1, not_found=not_found, after_failure=False)
    change = life.retried(waiting, "anna", "it is there now", SOON)
    assert change
    assert (change.after.failures, change.after.not_found) == (1, left)


def test_an_operators_retry_of_what_runs_alone_makes_it_due() -> None:
    waiting = a_push(State.RETRYING, crashes=2, next_attempt_at=LATER)
    change = life.retried(waiting, "anna", "the worker has more memory", SOON)
    assert change
    assert change.after == replace(waiting, rev=waiting.rev + 1, next_attempt_at=SOON)
    assert not change.moves_job


def test_an_operator_retries_nothing_else() -> None:
    retried = [life.retried(a_push(state), "anna", "x", NOW) for state in State]
    assert [change is not None for change in retried] == [
        state is State.RETRYING for state in State
    ]


def test_it_parks_and_resumes_nothing_else() -> None:
    parked = [life.parked(a_push(state), HoldReason.OUTAGE, NOW) for state in State]
    resumed = [life.resumed(a_push(state), NOW) for state in State]

    assert [change is not None for change in parked] == [state is State.QUEUED for state in State]
    assert [change is not None for change in resumed] == [state is State.HELD for state in State]


@pytest.mark.parametrize(
    "state",
    [State.QUEUED, State.RUNNING, State.HELD, State.ACKNOWLEDGED, State.NOT_NEEDED, State.DEAD],
)
def test_it_queues_nothing_that_waits_for_no_time(state: State) -> None:
    assert life.due(a_push(state), SOON) is None


def test_it_attempts_a_push_alone_after_a_crash_and_gives_up_after_two_deaths_alone() -> None:
    states = []
    push = a_push(State.RUNNING)
    for _ in range(policy.MAX_CRASHES):
        push = after(life.crashed(push, NOW))
        states.append((push.state, push.reason, push.crashes, push.next_attempt_at))
        if push.state is State.RETRYING:
            assert life.due(push, NOW + timedelta(hours=1)) is None
            push = after(life.started(push, "w", "c" * 32, NOW))

    assert states == [
        (State.RETRYING, None, 1, NOW),
        (State.RETRYING, None, 2, NOW + timedelta(seconds=60)),
        (State.DEAD, Reason.CRASH_LOOP, 3, None),
    ]


@pytest.mark.parametrize(
    "end",
    [
        lambda push: life.acknowledged(push, NOW),
        lambda push: life.not_needed(push, NOW),
        lambda push: life.retrying(push, SOON, NOW, error="HTTP 503", failed=True),
        lambda push: life.held(push, HoldReason.OUTAGE, NOW, "HTTP 503"),
        lambda push: life.dead(push, Reason.REJECTED, NOW, "HTTP 400"),
    ],
)
def test_it_forgets_a_crash_when_an_attempt_comes_to_its_end(
    end: Callable[[Push], Change],
) -> None:
    alone = after(life.started(after(life.crashed(a_push(State.RUNNING), NOW)), "w", "c" * 32, NOW))

    assert alone.runs_alone
    assert not end(alone).after.runs_alone


def test_it_releases_a_push_as_if_the_attempt_had_not_begun() -> None:
    push = a_push(State.RUNNING)

    released = after(life.released(push, SOON))

    assert (released.state, released.attempts, released.crashes) == (State.QUEUED, 0, 0)
    assert life.released(released, SOON) is None


def test_it_replays_only_what_is_dead() -> None:
    replayed = after(life.replayed(a_push(State.DEAD, failures=6), "ops", "fixed", SOON))

    assert (replayed.state, replayed.failures, replayed.reason) == (State.QUEUED, 0, None)
    assert life.replayed(replayed, "ops", "again", SOON) is None


def test_it_says_who_replayed_and_why() -> None:
    change = life.replayed(a_push(State.DEAD), "mia", "password was wrong", SOON)

    assert change is not None
    (entry,) = change.entries
    assert (entry.by, entry.detail) == ("mia", "was no_such_order: password was wrong")


def test_it_discards_once() -> None:
    discarded = after(life.discarded(a_push(State.DEAD), "ops", "forged", SOON))

    assert (discarded.state, discarded.discarded) == (State.DEAD, True)
    assert life.discarded(discarded, "ops", "forged", SOON) is None
    assert life.discarded(a_push(State.HELD), "ops", "forged", SOON) is None


def test_it_adds_what_an_attempt_saw_to_its_end() -> None:
    order = OrderSnapshot(status="AUTHORIZED", order_amount=100)
    change = life.acknowledged(a_push(State.RUNNING), NOW)

    seen = life.reported(change, (), order, SOON).after
    unseen = life.reported(change, (), None, SOON).after

    assert (seen.order, seen.verified_at) == (order, SOON)
    assert (unseen.order, unseen.verified_at) == (OrderSnapshot(), None)


@pytest.mark.parametrize("state", list(State))
def test_it_moves_the_job_exactly_when_the_state_changes(state: State) -> None:
    push = a_push(state)

    assert not Change(push, replace(push, pushes=9)).moves_job
    assert Change(None, push).moves_job
    assert Change(push, push, rebuilds_job=True).moves_job


def test_every_step_from_an_unreadable_record_writes_it_anew() -> None:
    push = a_push(State.DEAD, unreadable="its content", reason=Reason.UNREADABLE)
    steps = [
        life.pushed_again(push, NOW),
        life.pushed_again(replace(push, discarded=True), NOW),
        life.started(push, "worker", "a" * 32, NOW),
        life.replayed(push, "ops", "why", NOW),
        life.discarded(push, "ops", "why", NOW),
        life.quarantined(push, NOW),
    ]

    assert [step and step.after.unreadable for step in steps] == [None] * 6
    assert life.quarantined(a_push(State.DEAD), NOW) is None
