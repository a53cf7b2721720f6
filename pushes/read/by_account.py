"""Counting by account what is not settled. Changes nothing.

Whatever stands in an index of its account is counted by Redis. Orders that run or wait for a time
stand in the indexes by state alone, whose members are read, up to a limit.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from redis import Redis

from pushes.model import Lane, Reason, State
from pushes.read.search import listing
from pushes.read.search.listing import Source
from pushes.read.unreadable import Unreadable
from pushes.store import keys

# What somebody has to do with: settled orders are many, and nothing is left to do for them.
STATES = tuple(state for state in State if not state.is_settled)

# So many members are read at most: some hundredths of a second.
MEMBERS_READ = 20_000

# One round trip reads this many, so that Redis answers others in between.
_CHUNK = 2000

# An index of one account, with the account and the state that it is about.
_AccountIndex = tuple[str, State, str]


@dataclass(frozen=True, slots=True)
class AccountCounts:
    """How many pushes of each account are in each of `STATES`; `partial`: at least so many."""

    by_account: Mapping[str, Mapping[State, int]] = field(default_factory=dict)
    partial: bool = False

    def of(self, account: str) -> dict[State, int]:
        """Return the counts of one account."""
        found = self.by_account.get(account, {})
        return {state: found.get(state, 0) for state in STATES}


def read(
    redis: Redis, accounts: Sequence[str], totals: Mapping[State, int], unreadable: Unreadable
) -> AccountCounts:
    """Count for `accounts`; `totals` are those of all there are. Raises RedisError."""
    found: dict[str, Counter[State]] = {}
    indexes = list(_indexes(redis, accounts, totals))
    counts = listing.count_each(redis, Source([name for _, _, name in indexes]))
    for (account, state, name), answer in zip(indexes, counts, strict=True):
        if answer:
            count = unreadable.read(name, answer, int, 0)
            found.setdefault(account, Counter())[state] += count
    left = MEMBERS_READ
    for state in (State.RUNNING, State.RETRYING):
        members = unreadable.ask(keys.index(state), partial(_members, redis, state, left), [])
        left -= len(members)
        for account in map(_account, members):
            found.setdefault(account, Counter())[state] += 1
    expected = totals[State.RUNNING] + totals[State.RETRYING]
    return AccountCounts(found, partial=not left and expected > MEMBERS_READ)


def _indexes(
    redis: Redis, accounts: Sequence[str], totals: Mapping[State, int]
) -> Iterator[_AccountIndex]:
    """Name the indexes of accounts, without those that are empty for all of them."""
    of_reasons = listing.count_each(redis, Source(list(map(keys.dead_of, Reason))))
    reasons = [reason for reason, count in zip(Reason, of_reasons, strict=True) if count]
    for account in accounts:
        if totals[State.QUEUED]:
            for lane in Lane:
                yield account, State.QUEUED, keys.ready(account, lane)
        if totals[State.HELD]:
            yield account, State.HELD, keys.held(account)
        for reason in reasons:
            yield account, State.DEAD, keys.dead_letters(account, reason)


def _members(redis: Redis, state: State, at_most: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < at_most:
        last = min(len(found) + _CHUNK, at_most) - 1
        members = cast(list[bytes], redis.zrange(keys.index(state), len(found), last))
        found += members
        if len(members) < _CHUNK:
            break
    return found


def _account(member: bytes) -> str:
    return member.partition(b"_")[0].decode(errors="replace")
