"""Times as an operator gives and reads them: ISO 8601, or an age such as `90m`, `24h`, `7d`."""

import re
from datetime import UTC, datetime, timedelta

_AGE = re.compile(r"([0-9]{1,9})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

_MINUTE_S = 60
_HOUR_S = 60 * _MINUTE_S
_DAY_S = 24 * _HOUR_S


def parse(text: str, now: datetime) -> datetime:
    """Read a time: a naive one is UTC, an age counts back from `now`.

    Raises ValueError saying what is understood.
    """
    try:
        if age := _AGE.fullmatch(text):
            return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text[:40]!r} is no time: give ISO 8601 such as 2026-01-31T08:15:00Z, or an age "
            "such as 90m, 24h or 7d."
        ) from None


def describe_span(seconds: float) -> str:
    """Write how long something took, in the two units that matter: `2 h 5 min`."""
    whole = int(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S} h"
