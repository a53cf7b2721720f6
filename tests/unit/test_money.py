"""Amounts mean one thing, or are refused; whatever is shown can be typed again."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.arguments import money
from cli.arguments.money import Money

# So many decimals each.
CURRENCIES = {"JPY": 0, "KRW": 0, "SEK": 2, "EUR": 2, "BHD": 3, "CLF": 4}


@pytest.mark.parametrize(
    ("amount", "currency", "minor_units"),
    [
        ("199.00", "SEK", 19900),
        ("0.01", "SEK", 1),
        ("0.00", "sek", 0),
        ("199", "JPY", 199),
        ("1.234", "BHD", 1234),
        ("0.0001", "CLF", 1),
    ],
)
def test_it_reads_an_amount_with_all_its_decimals(
    amount: str, currency: str, minor_units: int
) -> None:
    assert money.parse(amount, currency) == Money(minor_units, currency.upper())


@pytest.mark.parametrize(
    ("amount", "currency", "complaint"),
    [
        ("199", "SEK", "Write 199.00 SEK. If minor units are meant, which is 1.99 SEK, add"),
        (
            "199.0",
            "SEK",
            "SEK has 2 decimals. Write it with a point and without",
        ),
        ("199.000", "SEK", "has 2 decimals"),
        (
            "199.00",
            "BHD",
            "without spaces, such as 199.000.",
        ),
        ("199.00", "JPY", "JPY has no decimals. Write 199 JPY."),
        ("199,00", "SEK", "with a point and without spaces, such as 199.00."),
        ("1 199.00", "SEK", "without spaces"),
        ("1.199,00", "SEK", "with a point"),
        ("1e3.00", "SEK", "with a point"),
        ("\u0661.00", "SEK", "with a point"),
        ("-1.00", "SEK", "with a point"),
        ("", "SEK", "with a point"),
        ("1.00", "XXX", "'XXX' is no currency of ISO 4217"),
        ("1.00", "XAU", "'XAU' is no currency of ISO 4217"),
        ("1.00", "kronor", "'kronor' is no currency of ISO 4217"),
    ],
)
def test_it_refuses_what_could_be_meant_in_two_ways(
    amount: str, currency: str, complaint: str
) -> None:
    with pytest.raises(click.UsageError) as refused:
        money.parse(amount, currency)
    assert complaint in refused.value.message


@pytest.mark.parametrize("amount", ["199.00", "1,5", "", "x", "-1"])
def test_it_wants_whole_minor_units(amount: str) -> None:
    with pytest.raises(click.UsageError, match="is no number of minor units"):
        money.parse(amount, "SEK", in_minor_units=True)


@given(st.sampled_from(sorted(CURRENCIES)), st.integers(0, 200_000_000))
def test_it_reads_what_it_shows(currency: str, minor_units: int) -> None:
    wanted = Money(minor_units, currency)
    amount, shown = str(wanted).split(" ")
    assert money.parse(amount, shown) == wanted
    assert money.parse(str(minor_units), currency, in_minor_units=True) == wanted
    assert len(amount.partition(".")[2]) == CURRENCIES[currency]


def test_it_shows_what_it_does_not_know() -> None:
    assert money.show(None, "SEK") is None
    assert money.show(-1, "SEK") == "-0.01 SEK"
    assert money.show(17, "X_NEW") == "17 X_NEW (minor units)"
    assert money.show(17, None) == "17 ? (minor units)"
