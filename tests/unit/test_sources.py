import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushes import policy
from pushes.accounts.sources import KnownSources, source_of
from pushes.model import Lane

KLARNA, FORGER = source_of("198.51.100.7"), source_of("203.0.113.9")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("198.51.100.7", "198.51.100.250"),
        ("2001:db8:1:2::3", "2001:db8:1:ffff::9"),
        ("198.51.100.7", "::ffff:198.51.100.9"),
        (" 198.51.100.7 ", "198.51.100.7"),
        ("198.51.100.7:4711", "198.51.100.7"),
        ("[2001:db8:1:2::3]:4711", "2001:db8:1:2::3"),
        ("[2001:db8:1:2::3]", "2001:db8:1:2::3"),
    ],
)
def test_it_takes_neighbours_for_one_source(one: str, other: str) -> None:
    assert source_of(one) == source_of(other) is not None


def test_it_tells_networks_apart_and_keeps_no_address() -> None:
    assert KLARNA
    assert FORGER
    assert KLARNA != FORGER
    assert len(KLARNA) == len(FORGER) == 8


@pytest.mark.parametrize(
    "address", [None, "", "unix:", "unknown", "300.1.1.1", "1.2.3", "1.2.3.4:", "[]:1"]
)
def test_it_names_no_source_for_what_is_no_address(address: str | None) -> None:
    assert source_of(address) is None


@given(st.text())
def test_it_reads_any_text(address: str) -> None:
    assert source_of(address) is None or address


def test_nobody_is_a_stranger_before_somebody_is_proven() -> None:
    known_sources = KnownSources(frozenset(), policy.MAX_UNKNOWN_WAITING)

    assert known_sources.lane_of(FORGER) is Lane.FRESH
    assert not known_sources.refuses(FORGER)


def test_strangers_wait_apart_and_are_refused_when_they_are_too_many() -> None:
    few = KnownSources(frozenset({str(KLARNA)}), policy.MAX_UNKNOWN_WAITING - 1)
    many = KnownSources(frozenset({str(KLARNA)}), policy.MAX_UNKNOWN_WAITING)

    assert [few.lane_of(source) for source in (KLARNA, FORGER, None)] == [
        Lane.FRESH,
        Lane.UNKNOWN,
        Lane.UNKNOWN,
    ]
    assert [few.refuses(source) for source in (KLARNA, FORGER, None)] == [False, False, False]
    assert [many.refuses(source) for source in (KLARNA, FORGER, None)] == [False, True, True]
