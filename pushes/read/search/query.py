"""What an operator types into the search box: words and qualifiers, read into a `Query`. Pure.

    "shop order 4711" state:dead reason:rejected account:us code:BAD_VALUE since:7d until:2026-03-01

What is no qualifier is the text: an order id, a reference of Klarna's or the merchant's, or the
correlation id of a call. Quotes keep spaces and colons together.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

from pushes.model import HoldReason, Reason, State, is_account
from pushes.read.search.moments import parse as parse_moment

# Longer than any reference that Klarna takes (255 characters), with every qualifier beside it.
_LONGEST = 1000

_TOKEN = re.compile(r'\s*(?:(?P<name>[A-Za-z_]+):)?(?P<value>"[^"]*"?|[^\s"]+)?')

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,40}")


class QueryError(ValueError):
    """A query that cannot be read: `start` and `end` say where, `hint` what is understood."""

    def __init__(self, problem: str, hint: str, start: int, end: int) -> None:
        super().__init__(f"{problem} {hint}")
        self.problem = problem
        self.hint = hint
        self.start = start
        self.end = end


@dataclass(frozen=True, slots=True)
class Query:
    """Which orders are looked for; None means any.

    `since` is inclusive, `until` is not. They are about when an order was settled or died, and of
    one that waits, about its first push. `accounts` is what the reader may see at all.
    """

    text: str | None = None
    state: State | None = None
    reason: Reason | HoldReason | None = None
    account: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    accounts: frozenset[str] | None = None

    def takes_account(self, name: str) -> bool:
        """Whether orders of an account are looked for."""
        if self.accounts is not None and name not in self.accounts:
            return False
        return self.account in {None, name}


def parse(text: str, now: datetime) -> Query:
    """Read a query. Raises QueryError naming the place and what is understood there."""
    if len(text) > _LONGEST:
        raise QueryError("The search is too long.", f"Use up to {_LONGEST} characters.", 0, 0)
    words: list[str] = []
    found: dict[str, Any] = {}
    at = 0
    while text[at:].strip():
        token = _TOKEN.match(text, at)
        if token is None or token.end() == at:
            raise QueryError("This cannot be read.", _QUOTE, at, len(text))
        at = token.end()
        name, value = token["name"], token["value"]
        start = token.start("name" if name else "value")
        if name is None:
            words.append(_unquoted(value, start, at))
            continue
        name = name.lower()
        if name not in _QUALIFIERS:
            raise QueryError(f"There is no qualifier {name[:40]!r}.", _other(name), start, at)
        if name in found:
            raise QueryError(f"{name}: is there twice.", "Give each qualifier once.", start, at)
        if not value or not (plain := _unquoted(value, start, at)):
            raise QueryError(f"{name}: has no value.", _HINTS[name], start, at)
        try:
            found[name] = _QUALIFIERS[name](plain, now)
        except ValueError:
            problem = f"{plain[:40]!r} is no value of {name}:."
            raise QueryError(problem, _close(name, plain) + _HINTS[name], start, at) from None
    query = Query(text=" ".join(words) or None, **found)
    _check(query, text)
    return query


def _check(query: Query, text: str) -> None:
    where = (0, len(text))
    if query.since and query.until and query.since >= query.until:
        raise QueryError("since: is not before until:.", "Nothing can match.", *where)
    wanted = _state_of(query.reason)
    if query.state and wanted and query.state is not wanted:
        raise QueryError(
            f"An order that is {query.state} has no reason {query.reason}.",
            f"That is a reason of state:{wanted}.",
            *where,
        )


def _state_of(reason: Reason | HoldReason | None) -> State | None:
    if reason is None:
        return None
    return State.DEAD if isinstance(reason, Reason) else State.HELD


def _unquoted(value: str, start: int, end: int) -> str:
    if not value.startswith('"'):
        return value
    if len(value) == 1 or not value.endswith('"'):
        raise QueryError("A quote is not closed.", 'Put a " behind the text.', start, end)
    return value[1:-1].strip()


def _other(name: str) -> str:
    close = get_close_matches(name, _QUALIFIERS, 1)
    meant = f"Did you mean {close[0]}:? " if close else ""
    return f"{meant}There are {', '.join(f'{one}:' for one in _QUALIFIERS)}. {_QUOTE}"


def _close(name: str, value: str) -> str:
    close = get_close_matches(value.lower(), _WORDS.get(name, ()), 1)
    return f"Did you mean {close[0]}? " if close else ""


def _reason(value: str, _now: datetime) -> Reason | HoldReason:
    word = value.lower()
    return HoldReason(word) if word in set(HoldReason) else Reason.of(word)


def _account(value: str, _now: datetime) -> str:
    if not is_account(value):
        raise ValueError(value)
    return value


def _code(value: str, _now: datetime) -> str:
    if not _CODE.fullmatch(value):
        raise ValueError(value)
    return value


_QUOTE = 'To look for a text with a colon or a space in it, put it in quotes: "A: 1".'

_QUALIFIERS: Final[dict[str, Callable[[str, datetime], object]]] = {
    "state": lambda value, _now: State.of(value.lower()),
    "reason": _reason,
    "account": _account,
    "code": _code,
    "since": parse_moment,
    "until": parse_moment,
}

_WORDS: Final = {"state": [*State], "reason": [*Reason, *HoldReason]}

_HINTS: Final = {
    "state": f"The states are {', '.join(State)}.",
    "reason": f"The reasons are {', '.join([*Reason, *HoldReason])}.",
    "account": "An account is 1 to 32 of a-z, 0-9 and '-'.",
    "code": "A code is what the dead letters show, such as NOT_ALLOWED or HTTP_500.",
    "since": "Give ISO 8601 such as 2026-01-31T08:15:00Z, or an age such as 90m, 24h or 7d.",
    "until": "Give ISO 8601 such as 2026-01-31T08:15:00Z, or an age such as 90m, 24h or 7d.",
}
