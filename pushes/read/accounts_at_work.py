"""How each account is whose orders wait: how many in which state, and the age of the oldest.

While there are few accounts all are read. Of thousands only some are, those whose orders wait
longest first, so that the cost is bounded. Changes nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import cast

from redis import Redis

from pushes.model import PUSH_WINDOW, Lane, State
from pushes.read.unreadable import Unreadable
from pushes.store import codec, indexes, keys

# So many accounts are read at most.
ACCOUNTS_READ = 200

# Queued and held orders are counted by Redis, so only the first of them are read, to find accounts.
_FIRST = 1000

# Those that run or wait for a time are counted here: as many as workers have slots, and more.
_COUNTED = 5000

# A member of an index by state with its deadline, epoch seconds.
_Place = tuple[bytes, float]


@dataclass(frozen=True, slots=True)
class AccountAtWork:
    """The waiting orders of one account; `oldest_at` is when the oldest was pushed first."""

    states: Mapping[State, int]
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class AccountsAtWork:
    """The accounts that were read; `left_out` says how many more are known to have work."""

    accounts: Mapping[str, AccountAtWork] = field(default_factory=dict)
    left_out: int = 0


def read(redis: Redis, unreadable: Unreadable, at_most: int = ACCOUNTS_READ) -> AccountsAtWork:
    """Read the accounts whose orders wait longest, at most so many. Raises RedisError."""
    found = _first(redis, unreadable)
    deadlines: dict[str, float] = {}
    for place in (place for places in found.values() for place in places):
        if isfinite(place[1]):
            name = _account(place)
            deadlines[name] = min(deadlines.get(name, place[1]), place[1])
    known = {*deadlines, *_with_work(redis, unreadable), *_if_few(redis, unreadable, at_most)}
    chosen = sorted(known, key=lambda name: (deadlines.get(name, float("inf")), name))[:at_most]
    counts = {
        state: Counter(map(_account, found[state])) for state in (State.RUNNING, State.RETRYING)
    }
    answers = _ask(redis, chosen, unreadable)
    accounts = {
        name: _at_work(name, queued, held, counts, [deadlines.get(name), *firsts])
        for name, (queued, held, firsts) in zip(chosen, answers, strict=True)
    }
    return AccountsAtWork(accounts, left_out=len(known) - len(chosen))


def oldest_deadline(
    redis: Redis, names: Collection[str], unreadable: Unreadable
) -> datetime | None:
    """Say when the first of the waiting pushes of these accounts reaches its deadline.

    Raises RedisError.
    """
    places = [place for found in _first(redis, unreadable).values() for place in found]
    deadlines = [each for place, each in places if _account((place, each)) in names]
    for _, _, firsts in _ask(redis, sorted(names), unreadable):
        deadlines += firsts
    first = min(filter(isfinite, deadlines), default=None)
    return None if first is None else codec.moment(str(first))


def _first(redis: Redis, unreadable: Unreadable) -> dict[State, list[_Place]]:
    """Read the most urgent orders of each state that waits."""
    wanted = {
        State.QUEUED: _FIRST,
        State.HELD: _FIRST,
        State.RUNNING: _COUNTED,
        State.RETRYING: _COUNTED,
    }
    pipeline = redis.pipeline(transaction=False)
    for state, count in wanted.items():
        pipeline.zrange(keys.index(state), 0, count - 1, withscores=True)
    answers = cast(list[list[_Place]], pipeline.execute(raise_on_error=False))
    return {
        state: unreadable.read(keys.index(state), answer, list, [])
        for state, answer in zip(wanted, answers, strict=True)
    }


def _with_work(redis: Redis, unreadable: Unreadable) -> set[str]:
    """Name the accounts that workers have to look at, or that none of them serves."""
    names = (keys.WORK_ARRIVED, keys.HELD_ACCOUNTS, keys.WORK, keys.UNSERVED)
    pipeline = redis.pipeline(transaction=False)
    pipeline.smembers(names[0])
    pipeline.smembers(names[1])
    pipeline.zrange(names[2], 0, -1)
    pipeline.zrange(names[3], 0, -1)
    answers = cast(list[Iterable[bytes]], pipeline.execute(raise_on_error=False))
    return {
        member.decode(errors="replace")
        for name, answer in zip(names, answers, strict=True)
        for member in unreadable.read(name, answer, list, [])
    }


def _if_few(redis: Redis, unreadable: Unreadable, at_most: int) -> set[str]:
    """Name all accounts that ever had a push; none when there are more than are read."""

    def names() -> set[str]:
        return set(indexes.accounts(redis)) if redis.scard(keys.ACCOUNTS) <= at_most else set()

    return unreadable.ask(keys.ACCOUNTS, names, set())


def _ask(
    redis: Redis, accounts: Sequence[str], unreadable: Unreadable
) -> list[tuple[int, int, list[float]]]:
    """Read of each account how many are queued and held, and the first deadline in each place."""
    pipeline = redis.pipeline(transaction=False)
    places = [[*(keys.ready(name, lane) for lane in Lane), keys.held(name)] for name in accounts]
    for place in (place for of_account in places for place in of_account):
        pipeline.zcard(place)
        pipeline.zrange(place, 0, 0, withscores=True)
    answers = iter(pipeline.execute(raise_on_error=False))
    found = []
    for of_account in places:
        numbers, firsts = [], []
        for place in of_account:
            numbers.append(unreadable.read(place, next(answers), int, 0))
            first = unreadable.read(place, cast(list[_Place], next(answers)), list, [])
            firsts += [deadline for _, deadline in first if isfinite(deadline)]
        *queued, held = numbers
        found.append((sum(queued), held, firsts))
    return found


def _at_work(
    name: str,
    queued: int,
    held: int,
    counts: Mapping[State, Counter[str]],
    deadlines: Iterable[float | None],
) -> AccountAtWork:
    first = min((deadline for deadline in deadlines if deadline is not None), default=None)
    states = {State.QUEUED: queued, State.HELD: held}
    states |= {state: count[name] for state, count in counts.items()}
    return AccountAtWork(states, None if first is None else codec.moment(str(first)) - PUSH_WINDOW)


def _account(place: _Place) -> str:
    return place[0].partition(b"_")[0].decode(errors="replace")
