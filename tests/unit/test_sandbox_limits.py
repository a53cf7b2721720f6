from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.api.merchant import RateLimit


def test_it_lets_everything_through_when_it_is_off() -> None:
    limit = RateLimit()

    assert all(limit.allows(5, None) for _ in range(1000))


def test_it_lets_so_many_through_in_a_second_and_more_when_it_is_over() -> None:
    limit = RateLimit()

    assert [limit.allows(at_s, 2) for at_s in (10.0, 10.4, 10.9, 11.0, 11.3, 11.5)] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]


def test_it_does_not_count_what_it_refused() -> None:
    limit = RateLimit()
    assert limit.allows(1, 1)
    refused = [limit.allows(1.5, 1) for _ in range(50)]

    assert not any(refused)
    assert limit.allows(2, 1)


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.integers(0, 500), max_size=60), st.integers(1, 5))
def test_it_never_exceeds_the_rate_in_any_second(gaps_ms: list[int], rate_per_s: int) -> None:
    limit, now_ms, passed_ms = RateLimit(), 0, []

    for gap_ms in gaps_ms:
        now_ms += gap_ms
        if limit.allows(now_ms / 1000, rate_per_s):
            passed_ms.append(now_ms)

    for start in passed_ms:
        assert sum(start <= each < start + 999 for each in passed_ms) <= rate_per_s
