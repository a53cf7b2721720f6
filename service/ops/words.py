"""How the pages write things: text from outside, times, spans of time, money. Pure.

What others wrote is shown as it is: marks that turn the direction of text, terminal escapes and
whatever else is invisible become their escape sequence. HTML is escaped by Jinja.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from iso4217 import Currency
from markupsafe import Markup

# What stands where there is nothing to show.
NOTHING = "\N{EN DASH}"

_TIME = '<time datetime="{}" title="{}" data-local>{}</time>'

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400

_TENTHS_BELOW_S = 10


def visible(value: Any) -> Any:  # noqa: ANN401 - whatever a template shows
    """Write what a template is given: nothing for None, and every sign so that it can be seen."""
    if value is None:
        return ""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "".join(map(_visible_sign, value))


def when(at: datetime | None) -> Markup:
    """Write a time for people; a script turns it into the reader's zone, UTC stands behind it."""
    if at is None:
        return Markup('<span class="none">{}</span>').format(NOTHING)
    utc = at.astimezone(UTC)
    exact = f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond // 1000:03d} UTC"
    iso = utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Markup(
        '<time datetime="{}" title="{}" data-local>{:%Y-%m-%d %H:%M:%S} UTC</time>'
    ).format(iso, exact, utc)


def span(seconds: float | None) -> str:
    """Write a length of time by its two largest units."""
    if seconds is None:
        return NOTHING
    left = round(abs(seconds))
    if left < _MINUTE:
        return f"{left} s"
    if left < _HOUR:
        return f"{left // _MINUTE} min {left % _MINUTE:02d} s"
    if left < 2 * _DAY:
        return f"{left // _HOUR} h {left % _HOUR // _MINUTE:02d} min"
    return f"{left // _DAY} d {left % _DAY // _HOUR} h"


def took(seconds: float | None) -> str:
    """Write how long something took: in milliseconds below a second, with a tenth below ten."""
    if seconds is None or seconds >= _TENTHS_BELOW_S:
        return span(seconds)
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def ago(at: datetime | None, now: datetime) -> str:
    """Write how long ago something was, or when it will be."""
    if at is None:
        return ""
    apart = now - at
    return f"{span(apart.total_seconds())} ago" if apart >= timedelta(0) else f"in {left(at, now)}"


def left(at: datetime, now: datetime) -> str:
    """Write how long it is until a time."""
    return span((at - now).total_seconds())


def money(minor_units: int | None, currency: str | None) -> str:
    """Write an amount in its currency, for example 1,234.50 SEK."""
    if minor_units is None:
        return NOTHING
    try:
        unit = Currency((currency or "").upper())
    except ValueError:  # none that is known
        return f"{number(minor_units)} minor units"
    digits = unit.exponent or 0
    return f"{Decimal(minor_units).scaleb(-digits):,.{digits}f} {unit.code}"


def number(count: int) -> str:
    """Write a number with its thousands apart."""
    return f"{count:,}"


def rate(per_second: float) -> str:
    """Write how often a second, as short as it can be: 0.2, or 1,000."""
    return f"{per_second:,g}"


def title(word: object) -> str:
    """Write one of our words for people: not_needed as "not needed"."""
    return str(word).replace("_", " ")


def heading(word: object) -> str:
    """Write one of our words at the beginning of a line: "Not needed"."""
    text = title(word)
    return text[:1].upper() + text[1:]


def _visible_sign(sign: str) -> str:
    if sign.isprintable() or sign in "\n\t":
        return sign
    return sign.encode("unicode_escape").decode()
