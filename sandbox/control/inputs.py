"""Reading what the control side is sent: each value checked, or BadInputError naming the field.

Refuses unknown fields too: a misspelt one would otherwise be a fault that silently never happens.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from re import Pattern

_MAX_S = 10**8


class BadInputError(ValueError):
    """The caller's mistake: which field, and what it may be."""

    def __init__(self, field: str, allowed: str) -> None:
        super().__init__(f"{field}: must be {allowed}")
        self.field = field
        self.allowed = allowed


def parsed(body: bytes) -> object:
    """Read a JSON body; an empty one counts as `{}`. Raises BadInputError."""
    try:
        return json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise BadInputError("body", "JSON") from error


class Fields:
    """The members of one JSON object. Every reader gives the default for an absent member."""

    def __init__(self, raw: object, names: Collection[str], within: str = "") -> None:
        if not isinstance(raw, dict):
            raise BadInputError(within or "body", "a JSON object")
        self._raw = raw
        self._within = f"{within}." if within else ""
        for name in raw:
            if name not in names:
                allowed = f"one of the fields {', '.join(names)}" if names else "absent"
                raise BadInputError(f"{self._within}{name}", allowed)

    def __contains__(self, name: str) -> bool:
        return name in self._raw

    def raw(self, name: str) -> object:
        """Give the member unread, None when absent."""
        return self._raw.get(name)

    def refuse(self, name: str, allowed: str) -> BadInputError:
        """Make the error for a member of this object, to be raised."""
        return BadInputError(f"{self._within}{name}", allowed)

    def text(self, name: str, default: str, shape: Pattern[str] | None = None) -> str:
        """Read a string that is not empty and matches `shape`."""
        value = self._raw.get(name, default)
        if not isinstance(value, str) or not value or (shape and not shape.fullmatch(value)):
            raise self.refuse(name, f"a string like {shape.pattern}" if shape else "a string")
        return value

    def text_or_none(self, name: str, default: str | None) -> str | None:
        """Read a string that is not empty, or null for none."""
        return None if self._raw.get(name, default) is None else self.text(name, default or "")

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        """Read one of a few words; a number stands for its digits."""
        value = str(self._raw.get(name, default))
        if value not in allowed:
            raise self.refuse(name, f"one of {', '.join(allowed)}")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Read true or false, and nothing that merely resembles them."""
        value = self._raw.get(name, default)
        if not isinstance(value, bool):
            raise self.refuse(name, "true or false")
        return value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Read a number from `low` to `high`."""
        value = self._raw.get(name, default)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise self.refuse(name, f"a number from {low:g} to {high:g}")
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """Read a whole number from `low` to `high`."""
        value = self._raw.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refuse(name, f"a whole number from {low} to {high}")
        return value

    def whole_or_none(self, name: str, default: int | None, low: int, high: int) -> int | None:
        """Read a whole number, or null for none."""
        if self._raw.get(name, default) is None:
            return None
        return self.whole(name, default if default is not None else low, low, high)

    def rising(self, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """Read a list of seconds above 0, each more than the one before it."""
        value = self._raw.get(name, default)
        last_s = 0.0
        for each in value if isinstance(value, list | tuple) else (None,):
            number = isinstance(each, int | float) and not isinstance(each, bool)
            if not number or not last_s < each <= _MAX_S:
                raise self.refuse(name, f"a list of rising numbers of seconds, 0 to {_MAX_S}")
            last_s = each
        return tuple(value)

    def texts(self, name: str, default: Mapping[str, str]) -> Mapping[str, str]:
        """Read an object whose names and values are strings that are not empty."""
        value = self._raw.get(name, default)
        if not isinstance(value, Mapping) or not all(
            isinstance(each, str) and each for pair in value.items() for each in pair
        ):
            raise self.refuse(name, "an object of names and strings, none of them empty")
        return value
