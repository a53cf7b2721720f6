"""What a recipient was told of each trouble, and what it is to be told next. Pure.

A trouble is told once it has lasted, again when its number has doubled, and once when it is over.
In an hour there is one message at most that it is there, and one that it is over.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from notify.troubles import Trouble

# So far apart are two messages that one trouble is there.
APART = timedelta(hours=1)

# A trouble whose number has grown so many times is told again.
_GROWN = 2


@dataclass(frozen=True, slots=True)
class Told:
    """One trouble: when it was noticed, and what a recipient was told of it, if anything."""

    what: str
    size: int
    noticed_at: datetime
    told_at: datetime | None = None
    over_at: datetime | None = None


# By the name of the trouble.
Memory = Mapping[str, Told]


@dataclass(frozen=True, slots=True)
class ToTell:
    """What is to be told: what is there, new or grown, and what is over.

    `kept` is what to remember in any case, `told` once the message was taken.
    """

    there: tuple[Trouble, ...]
    over: tuple[Told, ...]
    kept: Memory
    told: Memory

    @property
    def says_something(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.there or self.over)


def plan(troubles: Iterable[Trouble], before: Memory, now: datetime, *, is_whole: bool) -> ToTell:
    """Say what is to be told at this moment.

    Without `is_whole` there may be troubles that are not listed, so none counts as over.
    """
    there: list[Trouble] = []
    kept: dict[str, Told] = {}
    told: dict[str, Told] = {}
    for trouble in troubles:
        known = _known(before.get(trouble.name), trouble, now)
        kept[trouble.name] = told[trouble.name] = known
        if _is_due(known, trouble, now):
            there.append(trouble)
            told[trouble.name] = Told(trouble.what, trouble.size, known.noticed_at, now)
    over: list[Told] = []
    for name, known in before.items():
        if name in kept or _is_forgotten(known, now, is_whole=is_whole):
            continue
        kept[name] = told[name] = known
        if is_whole and known.over_at is None:
            over.append(known)
            told[name] = replace(known, over_at=now)
    return ToTell(tuple(there), tuple(over), kept, told)


def _known(before: Told | None, trouble: Trouble, now: datetime) -> Told:
    """Return what is known of a trouble that is there; after an hour it is a new one."""
    if before is None or (before.over_at and not _is_recent(before, now)):
        return Told(trouble.what, trouble.size, noticed_at=now)
    return before


def _is_due(known: Told, trouble: Trouble, now: datetime) -> bool:
    if known.told_at is None:
        return now - known.noticed_at >= trouble.kind.patience
    if known.over_at is not None or _is_recent(known, now):
        return False
    return trouble.size >= _GROWN * known.size


def _is_forgotten(known: Told, now: datetime, *, is_whole: bool) -> bool:
    if known.over_at is not None:
        return not _is_recent(known, now)
    return known.told_at is None and is_whole


def _is_recent(known: Told, now: datetime) -> bool:
    return known.told_at is not None and now - known.told_at < APART
