from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushes.policy import LAST_ATTEMPT_BEFORE, RetryPolicy, delay_after, within


@pytest.mark.parametrize(("failures", "seconds"), [(0, 5), (1, 30), (5, 18000)])
def test_it_waits_as_the_list_says(failures: int, seconds: float) -> None:
    delay = delay_after(failures, RetryPolicy().delays_s, lambda: 0.5)

    assert delay == timedelta(seconds=seconds)


def test_it_gives_up_past_the_end_of_the_list() -> None:
    assert delay_after(6, RetryPolicy().delays_s, lambda: 0.5) is None


@given(st.floats(0, 1))
def test_it_spreads_a_delay_by_a_fifth_at_most(chance: float) -> None:
    delay = delay_after(0, (100,), lambda: chance)

    assert delay is not None
    assert timedelta(seconds=80) <= delay <= timedelta(seconds=120)


spans = st.timedeltas(timedelta(days=-3), timedelta(days=3))


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=3)), spans)
def test_it_never_jumps_past_the_deadline_while_there_is_time(
    delay: timedelta, left: timedelta
) -> None:
    waits = within(delay, left)

    assert timedelta(0) < waits <= delay
    assert waits == delay or waits == left - LAST_ATTEMPT_BEFORE
    if left > LAST_ATTEMPT_BEFORE:
        assert waits <= left - LAST_ATTEMPT_BEFORE
