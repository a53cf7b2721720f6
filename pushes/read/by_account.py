"""Counting by account what is not settled. Reads the indexes by state; changes nothing.

They are divided by state, not by account, so their members are read, up to a limit.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from redis import Redis

from pushes.model import State
from pushes.read.unreadable import Unreadable
from pushes.store import keys

# What somebody has to do with: settled orders are many, and nothing is left to do for them.
STATES = tuple(state for state in State if not state.is_settled)

# So many members are read at most: a fifth of a second.
MEMBERS_READ = 100_000

# One round trip reads this many, so that Redis answers others in between.
_CHUNK = 5000


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
    """Count for `accounts`; with a single one, `totals` are its own. Raises RedisError."""
    if len(accounts) == 1:
        return AccountCounts({accounts[0]: totals})
    found: dict[str, Counter[State]] = {}
    left = MEMBERS_READ
    for state in STATES:
        members = unreadable.ask(keys.index(state), partial(_members, redis, state, left), [])
        left -= len(members)
        for account in map(_account, members):
            found.setdefault(account, Counter())[state] += 1
    expected = sum(totals[state] for state in STATES)
    return AccountCounts(found, partial=not left and expected > MEMBERS_READ)


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
