import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.arguments import order_ids

A = "0c3e1f2a-1111-6222-a333-444455556666"
B = "1c3e1f2a-1111-6222-a333-444455556666"


def test_it_lowers_the_case_and_takes_each_id_once() -> None:
    assert order_ids.from_arguments([B.upper(), f" {A} ", B]) == [B, A]


def test_it_skips_blank_lines_and_comments() -> None:
    lines = ["# missed on Sunday\n", f"{A}\n", "\n", "   \n", f"  {B.upper()}  # by hand\r\n"]
    assert order_ids.from_lines(lines) == [A, B]


def test_it_takes_nothing_from_nothing() -> None:
    assert order_ids.from_lines([]) == []


def test_it_names_every_line_at_fault_by_its_number() -> None:
    lines = ["# comment\n", "not an id\n", f"{A}\n", "\n", f"{A}0\n", "\x1b[2J\n"]
    with pytest.raises(click.UsageError) as caught:
        order_ids.from_lines(lines)
    assert caught.value.message.splitlines() == [
        "Nothing was done, since not everything given is an order id:",
        "  line 2: 'not an id'",
        f"  line 5: '{A}0'",
        r"  line 6: '\x1b[2J'",
        "An order id has the shape 8-4-4-4-12 of 0-9 and a-f.",
    ]


def test_it_names_every_argument_at_fault_by_its_place() -> None:
    with pytest.raises(click.UsageError) as caught:
        order_ids.from_arguments(["", A, "x" * 100])
    assert caught.value.message.splitlines() == [
        "Nothing was done, since not everything given is an order id:",
        "  argument 1: ''",
        f"  argument 3: '{'x' * 60}'",
        "An order id has the shape 8-4-4-4-12 of 0-9 and a-f.",
    ]


@given(st.lists(st.uuids().map(str)), st.booleans())
def test_it_keeps_the_order_of_what_it_was_given(ids: list[str], is_upper: bool) -> None:  # noqa: FBT001 - hypothesis draws it
    given_ids = [text.upper() if is_upper else text for text in ids]
    assert order_ids.from_arguments(given_ids) == list(dict.fromkeys(ids))
