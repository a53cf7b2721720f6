"""Reading the indexes of orders a page at a time, several of them merged into one order.

No page reads more than so many entries, however few of them are wanted: then it says where to go
on. Changes nothing. Every function raises RedisError.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import takewhile
from typing import cast

from redis import Redis

from pushes.model import PushKey
from pushes.read.cursors import Place
from pushes.store import keys

# One round trip reads this many entries at least where many of them may not be wanted.
_CHUNK = 1000

# So many entries one page reads at most: some hundredths of a second of Redis's and ours.
READ_AT_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Source:
    """Indexes that are listed as one, by score, within bounds as ZRANGEBYSCORE takes them."""

    indexes: Sequence[str]
    low: str = "-inf"
    high: str = "+inf"
    backwards: bool = False

    def is_after(self, place: Place, after: Place | None) -> bool:
        """Whether a place comes later in the list than another."""
        return after is None or (place < after if self.backwards else place > after)


@dataclass(frozen=True, slots=True)
class Listed:
    """Places that were found, in order; `last` was looked at last, and after it there may be more.

    `last` is None at the end of the list.
    """

    places: list[Place]
    last: Place | None
    looked_at: int


def read(
    redis: Redis,
    source: Source,
    after: Place | None,
    *,
    limit: int,
    wanted: Callable[[PushKey], bool] | None = None,
) -> Listed:
    """Find up to `limit` places of orders after a place; only those that are `wanted`."""

    def is_wanted(member: str) -> bool:
        key = keys.find_key(member.encode())
        return key is not None and (wanted is None or wanted(key))

    return read_members(redis, source, after, limit=limit, wanted=is_wanted)


def read_members(
    redis: Redis,
    source: Source,
    after: Place | None,
    *,
    limit: int,
    wanted: Callable[[str], bool],
) -> Listed:
    """Find places, as `read` does, in indexes of anything."""
    found: list[Place] = []
    looked_at = 0
    chunk = limit + 1  # what nearly always suffices; later rounds read more
    while source.indexes:
        entries, has_more = _round(redis, source, after, chunk)
        for place in entries:
            looked_at += 1
            if wanted(place[1]):
                if len(found) == limit:  # one more than asked for: there is a next page
                    return Listed(found, after, looked_at)
                found.append(place)
            after = place
        if not has_more:
            break
        chunk = max(chunk, _CHUNK // len(source.indexes))
        if looked_at >= READ_AT_MOST:
            return Listed(found, after, looked_at)
    return Listed(found, None, looked_at)


def count(redis: Redis, source: Source) -> int:
    """Count the entries of a source."""
    pipeline = redis.pipeline(transaction=False)
    for index in source.indexes:
        pipeline.zcount(index, source.low, source.high)
    return sum(pipeline.execute())


def _round(
    redis: Redis, source: Source, after: Place | None, chunk: int
) -> tuple[list[Place], bool]:
    """Read the next places of all indexes, `chunk` of each; say whether there are more behind."""
    offsets = dict.fromkeys(source.indexes, 0)
    while True:
        pipeline = redis.pipeline(transaction=False)
        for index, offset in offsets.items():
            _ask(pipeline, source, index, after, slice(offset, offset + chunk))
        answers = cast(list[list[tuple[bytes, float]]], pipeline.execute())
        lists = [list(_places(raw, source, after)) for raw in answers]
        is_cut = [len(raw) == chunk for raw in answers]
        # All of a chunk may have the score of the place to go on from: then those behind it.
        behind = {
            index: offset + chunk
            for (index, offset), kept, cut in zip(offsets.items(), lists, is_cut, strict=True)
            if cut and not kept
        }
        if not behind:
            return _known(source, lists, is_cut), any(is_cut)
        offsets |= behind


def _known(source: Source, lists: list[list[Place]], is_cut: list[bool]) -> list[Place]:
    """Merge lists as far as each of them is known: one that was cut is, to its last place."""
    merged = merge(*lists, reverse=source.backwards)
    ends = [kept[-1] for kept, cut in zip(lists, is_cut, strict=True) if cut]
    if not ends:
        return list(merged)
    end = max(ends) if source.backwards else min(ends)
    return list(takewhile(lambda place: place == end or source.is_after(end, place), merged))


def _ask(pipeline: Redis, source: Source, index: str, after: Place | None, part: slice) -> None:
    bound, num = None if after is None else repr(after[0]), part.stop - part.start
    if source.backwards:
        high = bound or source.high
        pipeline.zrevrangebyscore(index, high, source.low, part.start, num, withscores=True)
    else:
        low = bound or source.low
        pipeline.zrangebyscore(index, low, source.high, part.start, num, withscores=True)


def _places(raw: list[tuple[bytes, float]], source: Source, after: Place | None) -> Iterator[Place]:
    for member, score in raw:
        place = (float(score), member.decode(errors="replace"))
        if source.is_after(place, after):
            yield place
