import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from pushes.model import is_order_id
from service.push.order_id import OrderIdError, find, read

ID = "7849fd84-47dc-4919-a7ce-47b9f461562f"


@pytest.mark.parametrize(
    "text",
    [
        ID,
        ID.upper(),
        f"  {ID} ",
        f"https://api.klarna.com/checkout/orders/{ID}",
        f"https://api.klarna.com/checkout/orders/{ID}/",
        f"https://api.klarna.com/checkout/orders/{ID}?x=1#y",
        f"/checkout/orders/{ID}",
    ],
)
def test_it_reads_an_id_or_a_url_that_ends_in_one(text: str) -> None:
    assert read(text, "the path") == ID


@pytest.mark.parametrize("text", ["x", ID[:-1], ID + "0", f"{ID}\0", f"{ID}/x", "http://[", "[/"])
def test_it_refuses_everything_else_and_says_where(text: str) -> None:
    with pytest.raises(OrderIdError, match=r"^the path holds no order id"):
        read(text, "the path")


def test_it_explains_a_placeholder_that_was_not_filled_in() -> None:
    with pytest.raises(OrderIdError, match=r"\{checkout.order.id\} for Checkout"):
        read("{checkout.order.id}", "the path")


@given(st.text())
def test_it_never_returns_what_has_not_the_shape(text: str) -> None:
    try:
        found = read(text, "the path")
    except OrderIdError:
        return
    assert is_order_id(found)


def test_it_takes_the_first_parameter_that_has_a_value() -> None:
    other = ID.replace("7", "8")
    query = MultiDict([("b", other), ("a", ""), ("a", ID), ("c", "rubbish")])

    assert find(("z", "a", "b", "c"), query) == ID
    assert find(("b", "a"), query) == other
    assert find(("z",), query) is None
    with pytest.raises(OrderIdError, match="the parameter c holds"):
        find(("c", "a"), query)
