"""The pushes in one state, a page at a time. Changes nothing.

Those that wait come first by their deadline, dead letters by their death, and what is settled with
the latest first. The indexes are divided by state: of one account's, those of others are read past.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

from redis import Redis

from pushes.model import Push, State
from pushes.read import cursors
from pushes.read.cursors import Place
from pushes.store import keys, records

# One round trip reads this many places, so that Redis answers others in between.
_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class StatePage:
    """Pushes in one state, and where the next page begins, if there is one."""

    items: tuple[Push, ...]
    next_cursor: str | None


def page(
    redis: Redis, state: State, *, account: str | None, limit: int, cursor: str | None = None
) -> StatePage:
    """List one page. Raises CursorError for a cursor that no page gave, and RedisError."""
    after = cursors.read(cursor) if cursor else None
    found = list(islice(_walk(redis, state, account, after), limit + 1))
    pushes = records.get_many(redis, [keys.parse_job_id(member) for _, member in found[:limit]])
    following = cursors.write(found[limit - 1]) if len(found) > limit else None
    # A push may have left the state between reading the index and reading its record.
    items = (push for push in pushes if push and push.state is state and not push.discarded)
    return StatePage(tuple(items), following)


def _walk(redis: Redis, state: State, account: str | None, after: Place | None) -> Iterator[Place]:
    backwards = state.is_settled
    index = keys.held(account) if account and state is State.HELD else keys.index(state)
    start = 0
    while True:
        raw = _read(redis, index, after, start, backwards=backwards)
        for member, score in raw:
            key, place = keys.find_key(member), (float(score), member.decode(errors="replace"))
            if key is None or account not in {None, key.account}:
                continue
            if after is None or (place < after if backwards else place > after):
                yield place
        if len(raw) < _CHUNK:
            return
        start += _CHUNK


def _read(
    redis: Redis, index: str, after: Place | None, start: int, *, backwards: bool
) -> list[tuple[bytes, float]]:
    if backwards:
        high = "+inf" if after is None else repr(after[0])
        raw = redis.zrevrangebyscore(index, high, "-inf", start, _CHUNK, withscores=True)
    else:
        low = "-inf" if after is None else repr(after[0])
        raw = redis.zrangebyscore(index, low, "+inf", start, _CHUNK, withscores=True)
    return cast(list[tuple[bytes, float]], raw)
