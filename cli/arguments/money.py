"""Amounts as an operator types and reads them: `199.00 SEK`; Klarna counts in minor units.

Refused: whatever could be meant in two ways. A currency with decimals wants all of them, unless it
is said that minor units are meant.
"""

import re
from dataclasses import dataclass

import click
from iso4217 import Currency

_WHOLE = re.compile(r"[0-9]{1,12}")
_DECIMAL = re.compile(r"[0-9]{1,12}\.[0-9]{1,6}")

# What an amount looks like, for the examples in messages.
_EXAMPLE = "199"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of a currency: 19900 SEK is written `199.00 SEK`."""

    minor_units: int
    currency: str

    def __str__(self) -> str:
        decimals = _decimals(self.currency)
        if decimals is None:
            return f"{self.minor_units} {self.currency} (minor units)"
        digits = str(abs(self.minor_units)).rjust(decimals + 1, "0")
        sign = "-" if self.minor_units < 0 else ""
        if not decimals:
            return f"{sign}{digits} {self.currency}"
        return f"{sign}{digits[:-decimals]}.{digits[-decimals:]} {self.currency}"


def parse(amount: str, currency: str, *, in_minor_units: bool = False) -> Money:
    """Read an amount. Raises UsageError, which says how to write it without ambiguity."""
    code = currency.upper()
    decimals = _decimals(code)
    if decimals is None:
        raise click.UsageError(
            f"{currency[:20]!r} is no currency of ISO 4217: give its three letters, such as SEK."
        )
    if in_minor_units or not decimals:
        if not _WHOLE.fullmatch(amount):
            raise click.UsageError(_no_whole_number(amount, code, decimals))
        return Money(int(amount), code)
    whole, _, fraction = amount.partition(".")
    if not _DECIMAL.fullmatch(amount) or len(fraction) != decimals:
        raise click.UsageError(_not_clear(amount, code, decimals))
    return Money(int(whole + fraction), code)


def show(minor_units: int | None, currency: str | None) -> str | None:
    """Write an amount of Klarna's for a reader; None when there is none."""
    return None if minor_units is None else str(Money(minor_units, currency or "?"))


def _decimals(currency: str) -> int | None:
    """Return how many decimals a currency has; None when it is none, or has no minor unit."""
    try:
        exponent = Currency(currency).exponent
    except ValueError:
        return None
    return None if exponent is None else int(exponent)


def _not_clear(amount: str, code: str, decimals: int) -> str:
    said = f"{amount[:20]!r} {code} is not clear: {code} has {decimals} decimals."
    if not _WHOLE.fullmatch(amount):
        return f"{said} Write it with a point and without spaces, such as {_example(decimals)}."
    major = Money(int(amount) * 10**decimals, code)
    return (
        f"{said} Write {major}. If minor units are meant, which is {Money(int(amount), code)}, add"
        " --minor-units."
    )


def _no_whole_number(amount: str, code: str, decimals: int) -> str:
    if not decimals:
        return f"{amount[:20]!r} is no amount: {code} has no decimals. Write {_EXAMPLE} {code}."
    return f"{amount[:20]!r} is no number of minor units: give a whole number."


def _example(decimals: int) -> str:
    return f"{_EXAMPLE}.{'0' * decimals}"
