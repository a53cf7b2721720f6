import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.arguments import order_ids

A = "0c3e1f2a-1111-6222-a333-444455556666"
B = "1c3e1f2a-1111-6222-a333-444455556666"


def test_it_lowers_the_case_and_takes_each_id_once() -> None:
    assert order_ids.from_arguments([B.upper(), f" {A} ", B]) == [B, A]


def test_it_names_every_argument_at_fault_by_its_place() -> None:
    with pytest.raises(click.UsageError) as caught:
        order_ids.from_arguments(["", A, "x" * 100])
    assert caught.value.message.splitlines() == [
        "Nothing was done, since not everything given is an order id:",
        "  argument 1: ''",
        f"  argument 3: '{'x' * 60}'",
        "An order id has the shape 8-4-4-4-12 of 0-9 and a-f.",
    ]


def test_it_names_the_first_ten_at_fault() -> None:
    with pytest.raises(click.UsageError) as caught:
        order_ids.from_arguments(["x"] * 1012)
    assert caught.value.message.splitlines()[1:] == [
        *(f"  argument {number}: 'x'" for number in range(1, 11)),
        "  … and 1,002 more",
        "An order id has the shape 8-4-4-4-12 of 0-9 and a-f.",
    ]


@given(st.lists(st.uuids().map(str)), st.booleans())
def test_it_keeps_the_order_of_what_it_was_given(ids: list[str], is_upper: bool) -> None:  # noqa: FBT001 - hypothesis draws it
    given_ids = [text.upper() if is_upper else text for text in ids]
    assert order_ids.from_arguments(given_ids) == list(dict.fromkeys(ids))
