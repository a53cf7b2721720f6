"""Reading the indexes of orders a page at a time, several of them merged into one order.

No page reads more than so many entries, however few of them are wanted: then it says where to go
on. Changes nothing. Every function raises RedisError.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import takewhile
from typing import Any

from redis import Redis

from pushes.model import PushKey
from pushes.read.cursors import Place
from pushes.store import keys
from pushes.store.connection import read_script

# One round trip reads this many entries at least where many of them may not be wanted.
_CHUNK = 1000

# Of up to so many indexes each is read as if it held the whole page.
_FEW = 16

# So many indexes are counted or merged in one round trip: a millisecond or two of Redis.
_AT_ONCE = 250

_OF_ACCOUNTS = read_script("pushes.read.search", "of_accounts.lua")
_MERGE = read_script("pushes.read.search", "merge.lua")
_COUNT = read_script("pushes.read.search", "count.lua")

# Where the account stands in a member of an index of orders, as a pattern of Lua.
_ACCOUNT_OF_ORDER = "^([^_]*)_"

# So many entries one page reads at most: some hundredths of a second of Redis's and ours.
READ_AT_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Source:
    """Indexes that are listed as one, by score, within bounds as ZRANGEBYSCORE takes them.

    With `accounts` Redis leaves out all orders but theirs; without, whoever reads decides.
    `account_pattern` says where the account stands in a member.
    """

    indexes: Sequence[str]
    low: str = "-inf"
    high: str = "+inf"
    backwards: bool = False
    accounts: frozenset[str] | None = None
    account_pattern: str = _ACCOUNT_OF_ORDER

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
    chunk = limit + 1 if source.accounts is None else _CHUNK
    while source.indexes:
        entries, left_out, has_more = _round(redis, source, after, chunk)
        looked_at += left_out
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
    return sum(count_each(redis, source))


def count_each(redis: Redis, source: Source) -> list[Any]:
    """Count the entries of each index of a source; an error for a key of a wrong type."""
    script = redis.register_script(_COUNT)
    found: list[Any] = []
    for start in range(0, len(source.indexes), _AT_ONCE):
        part = source.indexes[start : start + _AT_ONCE]
        found += script(keys=part, args=[source.low, source.high])
    return found


def _merged(
    redis: Redis, source: Source, after: Place | None, count: int
) -> tuple[list[Place], int, bool]:
    """Do what `_round` does, in Redis: the answers of very many indexes would be much to read."""
    first, last = (source.high, source.low) if source.backwards else (source.low, source.high)
    command = "ZREVRANGEBYSCORE" if source.backwards else "ZRANGEBYSCORE"
    behind = ("", "") if after is None else (repr(after[0]), after[1])
    arguments: list[str | int] = [command, behind[0] or first, last, count, *behind]
    merge_them = redis.register_script(_MERGE)
    places: list[Place] = []
    is_cut = False
    for start in range(0, len(source.indexes), _AT_ONCE):
        part = source.indexes[start : start + _AT_ONCE]
        has_more, *words = merge_them(keys=part, args=arguments)
        entries = zip(words[::2], words[1::2], strict=True)
        places += [(float(score), member.decode(errors="replace")) for member, score in entries]
        is_cut = is_cut or bool(has_more)
    # Each part is known as far as so many places, and so are all together.
    places.sort(reverse=source.backwards)
    return places[:count], 0, is_cut or len(places) > count


def _round(
    redis: Redis, source: Source, after: Place | None, chunk: int
) -> tuple[list[Place], int, bool]:
    """Read the next places of all indexes, looking at `chunk` of each.

    Says how many Redis has left out, and whether there are more behind.
    """
    if len(source.indexes) > _FEW and source.accounts is None:
        return _merged(redis, source, after, chunk)
    offsets = dict.fromkeys(source.indexes, 0)
    while True:
        pipeline = redis.pipeline(transaction=False)
        for index, offset in offsets.items():
            _ask(pipeline, source, index, after, slice(offset, offset + chunk))
        answers = [_entries(source, answer) for answer in pipeline.execute()]
        lists = [list(_places(raw, source, after)) for raw, _ in answers]
        is_cut = [looked_at == chunk for _, looked_at in answers]
        # All of a chunk may have the score of the place to go on from: then those behind it.
        behind = {
            index: offset + chunk
            for (index, offset), kept, cut in zip(offsets.items(), lists, is_cut, strict=True)
            if cut and not kept
        }
        if not behind:
            left_out = sum(looked_at - len(raw) for raw, looked_at in answers)
            return _known(source, lists, is_cut), left_out, any(is_cut)
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
    if source.accounts is not None:
        first, last = (source.high, source.low) if source.backwards else (source.low, source.high)
        command = "ZREVRANGEBYSCORE" if source.backwards else "ZRANGEBYSCORE"
        arguments = [command, bound or first, last, part.start, num, source.account_pattern]
        arguments += sorted(source.accounts)
        pipeline.register_script(_OF_ACCOUNTS)(keys=[index], args=arguments, client=pipeline)
    elif source.backwards:
        high = bound or source.high
        pipeline.zrevrangebyscore(index, high, source.low, part.start, num, withscores=True)
    else:
        low = bound or source.low
        pipeline.zrangebyscore(index, low, source.high, part.start, num, withscores=True)


def _entries(source: Source, answer: list[Any]) -> tuple[list[tuple[bytes, float]], int]:
    """Return the entries of an answer, and how many were looked at for them."""
    if source.accounts is None:
        return answer, len(answer)
    looked_at, *words = answer
    return list(zip(words[::2], map(float, words[1::2]), strict=True)), looked_at


def _places(raw: list[tuple[bytes, float]], source: Source, after: Place | None) -> Iterator[Place]:
    for member, score in raw:
        place = (float(score), member.decode(errors="replace"))
        if source.is_after(place, after):
            yield place
