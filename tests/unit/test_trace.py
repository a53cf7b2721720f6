from dataclasses import replace
from datetime import timedelta

import pytest

from pushes import fraud, life
from pushes.log import trace
from pushes.model import State
from pushes.origin import Origin
from pushes.policy import ALREADY_ACKNOWLEDGED
from pushes.store.codec import decode, encode
from tests.builders import NOW, a_key, a_push

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
BROUGHT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (BROUGHT, BROUGHT),
        (f" {BROUGHT}\t", BROUGHT),
        (f"cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-will-be-like", BROUGHT),
        (f"cc-{TRACE}-00f067aa0ba902b7-01", BROUGHT),
        (f"{BROUGHT}-more", None),
        (f"{BROUGHT},{BROUGHT}", None),
        (f"cc-{TRACE}-00f067aa0ba902b7-01.more", None),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (BROUGHT.upper(), None),
        (f"00-{TRACE}-00f067aa0ba902b7-0", None),
        ("", None),
        (None, None),
    ],
)
def test_it_keeps_what_is_valid(header: str | None, kept: str | None) -> None:
    assert trace.read(header) == kept


def test_it_makes_a_trace_for_a_push_that_brings_none() -> None:
    push = life.first_pushed(a_key(), NOW + timedelta(microseconds=999_999)).after
    read_back = decode(push.key, encode(push))
    other = a_push()

    assert trace.trace_id(push) == trace.trace_id(read_back) != trace.trace_id(other)
    assert trace.read(trace.header(push)) == trace.header(read_back)
    assert trace.header(push).split("-")[1] == trace.trace_id(push)


def test_it_goes_on_with_the_trace_of_a_push() -> None:
    push = life.first_pushed(a_key(), NOW, Origin(trace=BROUGHT)).after

    for state in (push, replace(push, state=State.ACKNOWLEDGED)):
        read_back = decode(push.key, encode(state))
        assert (trace.trace_id(read_back), trace.header(read_back)) == (TRACE, BROUGHT)


def test_it_takes_a_record_with_a_broken_trace_for_one_without() -> None:
    push = a_push()

    assert trace.trace_id(replace(push, trace="nonsense")) == trace.trace_id(push)


def test_it_goes_on_with_the_trace_of_a_later_push_that_revives_the_order() -> None:
    settled = replace(a_push(State.ACKNOWLEDGED), trace=BROUGHT)
    later, new = NOW + ALREADY_ACKNOWLEDGED, BROUGHT.replace("4bf9", "aaaa")

    assert life.pushed_again(settled, later, Origin(trace=new)).after.trace == new
    assert life.pushed_again(settled, later, Origin()).after.trace == BROUGHT


def test_it_goes_on_with_the_trace_of_a_fraud_notification() -> None:
    event = "FRAUD_RISK_ACCEPTED"
    first = fraud.first_notified(a_key(), event, NOW, Origin(trace=BROUGHT)).after
    known = fraud.notified(a_push(), event, NOW, Origin(trace=BROUGHT))

    assert first.trace == BROUGHT
    assert known
    assert known.after.trace == BROUGHT
