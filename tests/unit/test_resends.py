from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushes import policy, resends
from pushes.model import PUSH_WINDOW
from sandbox.schedule import KLARNA_SCHEDULE_S
from tests.builders import NOW


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

    assert min(resends.SCHEDULE[0], *(b - a for a, b in pairs)) > policy.HASTENED_AFTER
