"""The dead letters: what waits for an operator, by time, reason, code and account; nothing scanned.

The index has one sorted set of all, one per reason, one per account and reason, and one per cause,
so that any filter reads only what it lists; an account's page is merged from its few sets. RQ's
FailedJobRegistry holds the same jobs.
"""

from dataclasses import dataclass
from datetime import datetime

from redis import Redis

from pushes.model import Push, Reason, State
from pushes.read import cursors
from pushes.read.search import causes, listing
from pushes.read.search.causes import Cause
from pushes.read.search.listing import Source
from pushes.store import codec, keys, records

# What one page costs in round trips stays small while a replay of thousands stays quick.
PAGE = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters: None means any. `since` is inclusive, `until` is not.

    `code` is that of a cause, `keys.NO_CODE` for those without. `accounts` are those whose dead
    letters the reader may see at all.
    """

    reason: Reason | None = None
    account: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    code: str | None = None
    accounts: frozenset[str] | None = None

    @property
    def only_accounts(self) -> frozenset[str] | None:
        """Name the accounts whose dead letters are wanted; None for all."""
        if self.account is None:
            return self.accounts
        return frozenset([self.account] if self.takes_account(self.account) else [])

    def takes_account(self, name: str) -> bool:
        """Whether an account's dead letters are wanted."""
        if self.accounts is not None and name not in self.accounts:
            return False
        return self.account in {None, name}

    def takes_cause(self, cause: Cause) -> bool:
        """Whether dead letters of a cause are wanted."""
        return (
            self.takes_account(cause.account)
            and self.reason in {None, cause.reason}
            and self.code in {None, cause.code or keys.NO_CODE}
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Dead letters, the longest dead first, and where the next page begins, if there is one."""

    items: tuple[Push, ...]
    next_cursor: str | None


def count(redis: Redis, wanted: Filter) -> int:
    """Count the dead letters that match."""
    return listing.count(redis, source(redis, wanted))


def by_reason(redis: Redis) -> dict[Reason, int]:
    """Count all dead letters by reason."""
    pipeline = redis.pipeline(transaction=False)
    for reason in Reason:
        pipeline.zcard(keys.dead_of(reason))
    return dict(zip(Reason, map(int, pipeline.execute()), strict=True))


def page(redis: Redis, wanted: Filter, *, limit: int = 50, cursor: str | None = None) -> Page:
    """List one page. Raises CursorError for a cursor that no page ever gave."""
    after = cursors.read(cursor) if cursor else None
    found = listing.read(redis, source(redis, wanted), after, limit=limit)
    items = records.get_many(redis, [keys.parse_job_id(member) for _, member in found.places])
    following = cursors.write(found.last) if found.last else None
    # A push may have been revived between reading the index and reading its record.
    dead = (push for push in items if push and push.state is State.DEAD and not push.discarded)
    return Page(tuple(dead), following)


def source(redis: Redis, wanted: Filter) -> Source:
    """Name the smallest indexes that hold what is wanted, the longest dead first."""
    low = codec.epoch(wanted.since) if wanted.since else "-inf"
    high = f"({codec.epoch(wanted.until)}" if wanted.until else "+inf"
    return Source(_partitions(redis, wanted), low, high)


def _partitions(redis: Redis, wanted: Filter) -> list[str]:
    if wanted.code is not None:
        return [cause.index for cause in causes.having(redis, wanted.code, wanted.takes_cause)]
    if wanted.account is None and wanted.accounts is None:
        return [keys.dead_of(wanted.reason) if wanted.reason else keys.index(State.DEAD)]
    names = [wanted.account] if wanted.account else sorted(wanted.accounts or ())
    reasons = [wanted.reason] if wanted.reason else list(Reason)
    taken = filter(wanted.takes_account, names)
    return [keys.dead_letters(name, reason) for name in taken for reason in reasons]
