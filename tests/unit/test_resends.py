from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushes import policy, resends
from pushes.model import PUSH_WINDOW, Reason, State
from pushes.resends import ResendCounts
from sandbox.pushing.schedule import KLARNA_SCHEDULE_S
from tests.builders import NOW, a_push


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def test_it_expects_what_klarna_documents() -> None:
    assert [wait.total_seconds() for wait in resends.SCHEDULE] == list(KLARNA_SCHEDULE_S)


@pytest.mark.parametrize(
    ("after_min", "next_min"),
    [
        (-1, 5),
        (0, 5),
        (4.99, 5),
        (5, 15),
        (16, 30),
        (59, 60),
        (60, 5 * 60),
        (44 * 60, 45 * 60),
        (45 * 60, None),
        (48 * 60, None),
    ],
)
def test_it_names_the_next_resend(after_min: float, next_min: float | None) -> None:
    expected = None if next_min is None else NOW + minutes(next_min)

    assert resends.next_after(NOW, NOW + minutes(after_min)) == expected


@given(st.timedeltas(timedelta(days=-1), timedelta(days=3)))
def test_it_expects_the_next_within_four_hours_until_the_last(since: timedelta) -> None:
    expected = resends.next_after(NOW, NOW + since)

    if expected is None:
        assert since >= resends.SCHEDULE[-1]
        assert NOW + resends.SCHEDULE[-1] < NOW + PUSH_WINDOW
    else:
        assert timedelta(0) < expected - (NOW + since)
        assert expected - max(NOW, NOW + since) <= timedelta(hours=4)


def test_it_lets_every_resend_hasten_an_attempt_that_failed_at_the_one_before() -> None:
    pairs = zip(resends.SCHEDULE, resends.SCHEDULE[1:], strict=False)

    assert min(resends.SCHEDULE[0], *(b - a for a, b in pairs)) > policy.EXPEDITED_AFTER


@pytest.mark.parametrize(
    ("pushed_min", "seen"), [(0, False), (1.9, False), (2, True), (5, True), (14, True), (60, True)]
)
def test_it_sees_a_resend_that_comes_early_or_late(pushed_min: float, seen: bool) -> None:  # noqa: FBT001 - a parameter of the table
    push = a_push(last_push_at=NOW + minutes(pushed_min))

    assert resends.is_seen(push, NOW + minutes(5)) is seen


@pytest.mark.parametrize(
    ("after_min", "expected_min"), [(0, 5), (14.9, 5), (15, 15), (45 * 60, 45 * 60)]
)
def test_it_awaits_a_resend_until_it_is_ten_minutes_late(
    after_min: float, expected_min: float
) -> None:
    assert resends.awaited(a_push(), NOW + minutes(after_min)) == NOW + minutes(expected_min)


def test_it_awaits_nothing_after_the_last_resend() -> None:
    assert resends.awaited(a_push(), NOW + minutes(45 * 60 + 10)) is None


def test_it_gives_up_every_resend_that_is_overdue() -> None:
    push = a_push()
    first = NOW + minutes(5)

    assert resends.due_by(push, first, NOW + minutes(14.9)) == []
    assert resends.due_by(push, first, NOW + minutes(15)) == [first]
    assert resends.due_by(push, first, NOW + minutes(40)) == [
        NOW + minutes(number) for number in (5, 15, 30)
    ]
    assert len(resends.due_by(push, first, NOW + timedelta(days=9))) == len(resends.SCHEDULE)


@given(
    st.floats(0, 1),
    st.lists(st.timedeltas(timedelta(0), timedelta(hours=12)), min_size=1, max_size=9),
)
def test_it_counts_every_resend_once_however_often_it_looks(
    fraction_s: float, looks_apart: list[timedelta]
) -> None:
    push = a_push(first_push_at=NOW + timedelta(seconds=fraction_s))
    now = push.first_push_at
    awaited = resends.awaited(push, now)
    given_up = []
    for apart in looks_apart:
        now += apart
        if awaited and awaited + resends.GRACE <= now:
            stored = awaited.replace(microsecond=awaited.microsecond // 1000 * 1000)
            given_up += resends.due_by(push, stored, now)
            awaited = resends.awaited(push, now)

    come_by = now - resends.GRACE - push.first_push_at
    assert given_up == [push.first_push_at + wait for wait in resends.SCHEDULE if wait <= come_by]


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({}, True),
        ({"not_found": 1}, False),
        ({"state": State.DEAD, "reason": Reason.NO_SUCH_ORDER}, False),
        ({"state": State.DEAD, "reason": Reason.RETRIES_EXHAUSTED}, True),
        ({"not_found": 1, "verified_at": NOW}, True),
    ],
)
def test_it_learns_nothing_from_an_order_that_klarna_does_not_know(
    facts: dict[str, object],
    says: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    assert resends.says_something(a_push(**facts)) is says  # type: ignore[arg-type]  # fields of Push


@pytest.mark.parametrize(
    ("seen", "missed", "alarming"),
    [
        (0, 0, False),
        (0, 4, False),
        (0, 5, True),
        (1, 5, True),
        (2, 5, False),
        (25, 100, True),
        (26, 100, False),
        (100, 5, False),
    ],
)
def test_it_is_alarmed_when_nearly_all_stay_away(seen: int, missed: int, alarming: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert resends.do_not_reach_us(ResendCounts(seen, missed)) is alarming
