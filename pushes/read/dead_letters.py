"""The dead letters: what waits for an operator, by time, reason and account, without scanning.

The index has one sorted set of all, one per reason, and one per account and reason, so that any
filter reads only what it lists; an account's page is merged from its few sets. RQ's
FailedJobRegistry holds the same jobs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import cast

from redis import Redis

from pushes.model import Push, Reason, State
from pushes.read import cursors
from pushes.read.cursors import Place
from pushes.store import codec, keys, records

# What one page costs in round trips stays small while a replay of thousands stays quick.
PAGE = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters: None means any. `since` is inclusive, `until` is not."""

    reason: Reason | None = None
    account: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Dead letters, the longest dead first, and where the next page begins, if there is one."""

    items: tuple[Push, ...]
    next_cursor: str | None


def count(redis: Redis, wanted: Filter) -> int:
    """Count the dead letters that match."""
    pipeline = redis.pipeline(transaction=False)
    low, high = _bounds(wanted)
    for partition in _partitions(wanted):
        pipeline.zcount(partition, low, high)
    return sum(pipeline.execute())


def page(redis: Redis, wanted: Filter, *, limit: int = 50, cursor: str | None = None) -> Page:
    """List one page. Raises CursorError for a cursor that no page ever gave."""
    after = cursors.read(cursor) if cursor else None
    found = list(islice(_walk_all(redis, wanted, after), limit + 1))
    items = records.get_many(redis, [keys.parse_job_id(member) for _, member in found[:limit]])
    following = cursors.write(found[limit - 1]) if len(found) > limit else None
    # A push may have been revived between reading the index and reading its record.
    dead = (push for push in items if push and push.state is State.DEAD and not push.discarded)
    return Page(tuple(dead), following)


def _walk_all(redis: Redis, wanted: Filter, after: Place | None) -> Iterator[Place]:
    return merge(*(_walk(redis, name, wanted, after) for name in _partitions(wanted)))


def _walk(redis: Redis, partition: str, wanted: Filter, after: Place | None) -> Iterator[Place]:
    low, high = _bounds(wanted)
    if after is not None:
        low = max(low, repr(after[0]), key=float)
    start = 0
    while True:
        raw = cast(
            list[tuple[bytes, float]],
            redis.zrangebyscore(partition, low, high, start=start, num=PAGE, withscores=True),
        )
        # What names no order of ours is left out: see `klarna-ack repair`.
        places = [(float(score), member.decode()) for member, score in raw if keys.find_key(member)]
        yield from (place for place in places if after is None or place > after)
        if len(raw) < PAGE:
            return
        start += PAGE


def _partitions(wanted: Filter) -> list[str]:
    if wanted.account is None:
        return [keys.dead_of(wanted.reason) if wanted.reason else keys.index(State.DEAD)]
    reasons = [wanted.reason] if wanted.reason else list(Reason)
    return [keys.dead_letters(wanted.account, reason) for reason in reasons]


def _bounds(wanted: Filter) -> tuple[str, str]:
    low = codec.epoch(wanted.since) if wanted.since else "-inf"
    high = f"({codec.epoch(wanted.until)}" if wanted.until else "+inf"
    return low, high
