from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushes import policy
from pushes.accounts.sources import KLARNA_ADDRESSES, KnownSources, SourceNames, Sources
from pushes.model import TRUSTED, Lane

source_of = SourceNames().of
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


def test_what_one_account_trusts_is_trusted_for_no_other() -> None:
    of = Sources([ip_network("192.0.2.7/32")], {"one": [ip_network("198.51.100.0/24")]}).of

    assert [of("192.0.2.7", name) for name in ("one", "two")] == [TRUSTED, TRUSTED]
    assert of("198.51.100.7", "one") == TRUSTED
    assert of("198.51.100.7", "two") == KLARNA


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


def test_it_trusts_klarnas_own_addresses_and_not_their_neighbours() -> None:
    assert {source_of(address) for address in KLARNA_ADDRESSES} == {TRUSTED}
    assert source_of("52.17.117.57") not in {TRUSTED, None}


def test_nobody_waits_apart_before_somebody_is_trusted() -> None:
    known = KnownSources(frozenset(), has_trusted=False, unknown_waiting=policy.MAX_UNKNOWN_WAITING)

    assert known.lane_of(FORGER) is Lane.FRESH
    assert not known.refuses(FORGER)


@pytest.mark.parametrize(
    ("proven", "has_trusted"), [(frozenset({str(KLARNA)}), False), (frozenset({str(KLARNA)}), True)]
)
def test_unverified_sources_wait_apart_and_are_refused_when_they_are_too_many(
    proven: frozenset[str],
    has_trusted: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    few = KnownSources(proven, has_trusted, policy.MAX_UNKNOWN_WAITING - 1)
    many = KnownSources(proven, has_trusted, policy.MAX_UNKNOWN_WAITING)
    sources = (TRUSTED, KLARNA, FORGER, None)

    assert [few.lane_of(source) for source in sources] == [
        Lane.FRESH,
        Lane.FRESH,
        Lane.UNKNOWN,
        Lane.UNKNOWN,
    ]
    assert [few.refuses(source) for source in sources] == [False] * 4
    assert [many.refuses(source) for source in sources] == [False, False, True, True]
