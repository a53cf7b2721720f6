from dataclasses import replace
from datetime import timedelta

import pytest

from pushes import life
from pushes.model import Change, Entry, Lane, Push, Reason, State
from pushes.origin import Origin
from pushes.store.counted import totals
from pushes.store.counted.totals import ACKNOWLEDGED_AFTER, Distribution
from tests.builders import NOW, a_key, a_push, history

LATER = NOW + timedelta(minutes=10)


def counted(change: Change) -> dict[str, int]:
    found = totals.commands(change)
    if not found:
        return {}
    ((act, _hash, *words),) = found
    assert act == "COUNT"
    names = [str(word) for word in words[::2]]
    return dict(zip(names, map(int, words[1::2]), strict=True))


def of_last(state: State) -> dict[str, int]:
    return counted(history(state, a_key())[-1])


def test_it_counts_a_new_order_by_its_lane() -> None:
    origin = Origin(lane=Lane.UNKNOWN)
    assert counted(life.first_pushed(a_key(), NOW, origin)) == {
        "accepted:new": 1,
        "admitted:unknown": 1,
    }


@pytest.mark.parametrize(
    ("push", "expected"),
    [
        (a_push(State.QUEUED), {"accepted:waiting": 1}),
        (a_push(State.RUNNING), {"accepted:waiting": 1}),
        (a_push(State.RETRYING), {"accepted:expedited": 1}),
        (a_push(State.ACKNOWLEDGED), {"accepted:revived": 1, "admitted:fresh": 1}),
        (a_push(State.ACKNOWLEDGED, changed_at=LATER), {"accepted:settled": 1}),
        (a_push(State.DEAD, reason=Reason.REJECTED), {"accepted:revived": 1, "admitted:fresh": 1}),
        (a_push(State.DEAD, changed_at=LATER), {"accepted:dead": 1}),
        (a_push(State.DEAD, discarded=True), {"accepted:dead": 1}),
    ],
)
def test_it_counts_a_push_by_what_it_found(push: Push, expected: dict[str, int]) -> None:
    assert counted(life.pushed_again(push, LATER)) == expected


def test_it_counts_what_an_operator_queues_as_his() -> None:
    origin = Origin("pushed_by_operator", by="kim", lane=Lane.BACKLOG)
    assert counted(life.first_pushed(a_key(), NOW, origin)) == {"operated:pushed_by_operator": 1}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.RUNNING, {}),
        (State.RETRYING, {"attempts:retrying": 1, "retries:failure": 1}),
        (State.HELD, {"attempts:held": 1}),
        (State.NOT_NEEDED, {"attempts:not_needed": 1}),
        (State.DEAD, {"attempts:dead": 1, "dead:no_such_order": 1}),
        (
            State.ACKNOWLEDGED,
            {
                "attempts:acknowledged": 1,
                "acknowledged_after:0.5": 1,
                "acknowledged_after:sum": 0,
            },
        ),
    ],
)
def test_it_counts_the_end_of_an_attempt(state: State, expected: dict[str, int]) -> None:
    assert of_last(state) == expected


@pytest.mark.parametrize(
    ("facts", "spent"),
    [({"not_found": True}, "not_found"), ({"limited": True}, "rate_limit"), ({}, "nothing")],
)
def test_it_counts_a_retry_by_what_it_spends(facts: dict[str, bool], spent: str) -> None:
    running = a_push(State.RUNNING)
    change = life.retrying(running, LATER, NOW, error="HTTP 404", **facts)
    assert counted(change) == {"attempts:retrying": 1, f"retries:{spent}": 1}


def test_it_counts_a_crash_and_no_attempt_that_was_put_back() -> None:
    running = a_push(State.RUNNING)
    crashed, released = life.crashed(running, NOW), life.released(running, NOW)
    assert crashed
    assert released
    assert counted(crashed) == {"attempts:crashed": 1}
    assert counted(released) == {}


def test_it_counts_calls_by_answer_and_duration() -> None:
    calls = (
        Entry(NOW, "call", "get_order", 200, 120),
        Entry(NOW, "call", "acknowledge", None, 15_001),
    )
    change = life.reported(life.not_needed(a_push(State.RUNNING), NOW), calls, None, NOW)
    assert counted(change) == {
        "attempts:not_needed": 1,
        "call:get_order:2xx:0.2": 1,
        "call:get_order:2xx:sum": 120,
        "call:acknowledge:none:inf": 1,
        "call:acknowledge:none:sum": 15_001,
    }


def test_it_counts_the_first_acknowledgement_only() -> None:
    again = a_push(State.RUNNING, acknowledged_at=NOW)
    assert counted(life.acknowledged(again, LATER)) == {"attempts:acknowledged": 1}


def test_it_counts_a_replay_and_no_second_death() -> None:
    dead = a_push(State.DEAD)
    replayed, discarded = life.replayed(dead, "kim", "", NOW), life.discarded(dead, "kim", "", NOW)
    assert replayed
    assert discarded
    assert counted(replayed) == {"operated:replayed": 1}
    assert counted(discarded) == {"operated:discarded": 1}


def test_it_counts_up_the_buckets_as_prometheus_does() -> None:
    found = Distribution()
    found.counts.update({"1": 2, "60": 1, "inf": 1})
    cumulated = dict(found.cumulated(replace(ACKNOWLEDGED_AFTER, bounds_s=(1.0, 5.0, 60.0))))
    assert cumulated == {"1.0": 2, "5.0": 2, "60.0": 3, "+Inf": 4}
