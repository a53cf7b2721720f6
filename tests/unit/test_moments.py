from datetime import UTC, datetime, timedelta

import pytest

from pushes.read.search.moments import describe_span, parse

NOW = datetime(2026, 1, 31, 8, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("30s", timedelta(seconds=30)),
        ("90m", timedelta(minutes=90)),
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("0s", timedelta()),
    ],
)
def test_it_counts_an_age_back_from_now(text: str, age: timedelta) -> None:
    assert parse(text, NOW) == NOW - age


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-30T09:30:00Z",
        "2026-01-30T09:30:00",
        "2026-01-30 09:30",
        "2026-01-30T10:30:00+01:00",
        "2026-01-30T09:30:00.000Z",
    ],
)
def test_it_reads_iso_8601_and_takes_a_naive_time_as_utc(text: str) -> None:
    at = parse(text, NOW)
    assert (at, at.tzinfo) == (datetime(2026, 1, 30, 9, 30, tzinfo=UTC), UTC)


def test_it_reads_a_date_as_its_first_moment() -> None:
    assert parse("2026-01-30", NOW) == datetime(2026, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "90",
        "90 m",
        "-90m",
        "1w",
        "1.5h",
        "2026-02-30",
        "999999999d",
        "0001-01-01T00:00:00+14:00",
        "٣h",  # a digit, but not one of ours
    ],
)
def test_it_refuses_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no time: give ISO 8601 such as") as caught:
        parse(text, NOW)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 0 s"),
        (3_599, "59 min 59 s"),
        (3_600, "1 h 0 min"),
        (86_399, "23 h 59 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_it_writes_a_span_in_the_two_units_that_matter(seconds: float, text: str) -> None:
    assert describe_span(seconds) == text
