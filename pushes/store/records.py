"""Reading records and timelines from Redis. Changes nothing.

A record that cannot be read is shown as what it will be once the ledger has met it: dead,
`unreadable`. So it holds up no other, and an operator can look at it, replay it and discard it.
Every function raises redis.exceptions.RedisError when Redis does not answer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha1
from typing import cast

from redis import Redis
from redis.exceptions import ResponseError

from pushes.model import Entry, Push, PushKey
from pushes.store import codec, keys

# The fields of a hash, as a command or a script returns them. A key of another type answers a
# command with an error; a script of ours returns that as the field `NO_HASH`.
Raw = list[bytes] | dict[bytes, bytes]
NO_HASH = b"unreadable"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# So much of what stands where a line of a timeline should be is shown.
_SHOWN_CHARS = 500


def get(redis: Redis, key: PushKey) -> Push | None:
    """Read one record."""
    try:
        return read(key, cast(Raw, redis.hgetall(keys.record(key))))
    except ResponseError as error:
        return read(key, _no_refusal(error))


def get_many(redis: Redis, wanted: Iterable[PushKey]) -> list[Push | None]:
    """Read records in one round trip, in the order asked for."""
    wanted = list(wanted)
    pipeline = redis.pipeline(transaction=False)
    for key in wanted:
        pipeline.hgetall(keys.record(key))
    answers = pipeline.execute(raise_on_error=False)
    return [read(key, _no_refusal(raw)) for key, raw in zip(wanted, answers, strict=True)]


def timeline(redis: Redis, key: PushKey) -> list[Entry]:
    """Read the last entries of a push, oldest first. What is no entry is shown as such."""
    try:
        raw = cast(list[bytes], redis.lrange(keys.timeline(key), 0, -1))
    except ResponseError as error:
        _no_refusal(error)
        return [Entry(_EPOCH, "unreadable", detail="the timeline is a key of a wrong type")]
    entries: list[Entry] = []
    for line in raw:
        try:
            entries.append(codec.decode_entry(line.decode()))
        except (ValueError, KeyError, TypeError, OverflowError):
            at = entries[-1].at if entries else _EPOCH
            entries.append(Entry(at, "unreadable", detail=repr(line)[:_SHOWN_CHARS]))
    return entries


def read(key: PushKey, raw: Raw | ResponseError) -> Push | None:
    """Make a record of its hash; None when there is none."""
    if not raw:
        return None
    if isinstance(raw, ResponseError) or not is_hash(raw):
        return _salvage(key, {}, [NO_HASH], "it is a key of a wrong type")
    pairs = fields(raw)
    try:
        return codec.decode(key, {name.decode(): value.decode() for name, value in pairs.items()})
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        texts = [(name, value.decode(errors="replace")) for name, value in pairs.items()]
        known = {name.decode(): value for name, value in texts if name.isascii()}
        words = [word for pair in pairs.items() for word in pair]
        return _salvage(key, known, words, f"{type(error).__name__}: {error}")


def is_hash(raw: Raw) -> bool:
    """Whether it was a hash that a script returned, and not a key of another type."""
    return next(iter(raw), b"") != NO_HASH


def fields(raw: Raw) -> dict[bytes, bytes]:
    """Name the fields of a hash."""
    return raw if isinstance(raw, dict) else dict(zip(raw[::2], raw[1::2], strict=True))


def _salvage(key: PushKey, known: Mapping[str, str], words: list[bytes], error: str) -> Push:
    """Make out what can be, and name the content as commit.lua does."""
    digest = sha1(b"\0".join(words), usedforsecurity=False).hexdigest()
    push = codec.salvage(key, known)
    return replace(push, unreadable=digest, last_error=f"the record cannot be read: {error}"[:200])


def _no_refusal(answer: Raw | ResponseError) -> Raw | ResponseError:
    """Return an answer unless Redis refused the command, and not for a key of a wrong type."""
    if isinstance(answer, ResponseError) and "WRONGTYPE" not in str(answer):
        raise answer
    return answer
