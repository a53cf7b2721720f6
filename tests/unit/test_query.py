from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushes.model import HoldReason, Reason, State
from pushes.read.search.query import Query, QueryError, parse
from tests.builders import NOW


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Query()),
        ("  4711 ", Query(text="4711")),
        ("shop  order 4711", Query(text="shop order 4711")),
        ('"A: 1"', Query(text="A: 1")),
        ("state:dead", Query(state=State.DEAD)),
        ("STATE:Dead reason:REJECTED", Query(state=State.DEAD, reason=Reason.REJECTED)),
        ("reason:outage", Query(reason=HoldReason.OUTAGE)),
        ("account:us code:NOT_ALLOWED", Query(account="us", code="NOT_ALLOWED")),
        (
            "since:7d until:2026-02-28",
            Query(since=NOW - timedelta(days=7), until=NOW.replace(month=2, day=28, hour=0)),
        ),
        ('state:"held" x y', Query(text="x y", state=State.HELD)),
    ],
)
def test_it_reads_words_and_qualifiers(text: str, expected: Query) -> None:
    assert parse(text, NOW) == expected


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("x stat:dead", "stat:dead", "There is no qualifier 'stat'. Did you mean state:? "),
        ("foo:bar", "foo:bar", 'put it in quotes: "A: 1".'),
        ("state:ded", "state:ded", "'ded' is no value of state:. Did you mean dead? The states"),
        ("state:", "state:", "state: has no value. The states are queued, "),
        ("state: dead", "state:", "state: has no value."),
        ('state:""', 'state:""', "state: has no value."),
        ("state:dead state:held", "state:held", "state: is there twice."),
        ("reason:rejectd", "reason:rejectd", "Did you mean rejected? The reasons are no_such"),
        ("account:US", "account:US", "An account is 1 to 32 of a-z, 0-9 and '-'."),
        ("code:a/b", "code:a/b", "such as NOT_ALLOWED or HTTP_500."),
        ("since:soon", "since:soon", "Give ISO 8601 such as 2026-01-31T08:15:00Z, or an age"),
        ("since:1d until:2d", "since:1d until:2d", "since: is not before until:."),
        ("state:held reason:rejected", "state:held reason:rejected", "a reason of state:dead."),
        ('a "b', '"b', "A quote is not closed."),
    ],
)
def test_it_says_what_is_wrong_where_and_what_is_understood(
    text: str, where: str, said: str
) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text, NOW)
    assert said in str(caught.value)
    assert text[caught.value.start : caught.value.end].strip() == where


@given(st.text(max_size=40) | st.from_regex(r'(state|since|x)?:?"?[a-z:" ]*', fullmatch=True))
def test_it_reads_whatever_is_typed_or_says_where_not(text: str) -> None:
    try:
        parse(text, NOW)
    except QueryError as error:
        assert 0 <= error.start <= error.end <= len(text)  # noqa: PT017 - either is right


def test_it_refuses_what_is_longer_than_any_search() -> None:
    with pytest.raises(QueryError, match="Use up to 1000 characters"):
        parse("x" * 1001, NOW)
