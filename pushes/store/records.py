"""Reading records and timelines from Redis. Changes nothing.

Every function raises redis.exceptions.RedisError when Redis does not answer.
"""

from collections.abc import Iterable
from typing import cast

from redis import Redis
from redis.exceptions import ResponseError

from pushes import log
from pushes.model import Entry, Push, PushKey
from pushes.store import codec, keys

_log = log.get(__name__)

# The fields of a hash, as a command or a script returns them.
Raw = list[bytes] | dict[bytes, bytes]


class UnreadableRecordError(Exception):
    """A record that this program did not write; the message names its key."""


def get(redis: Redis, key: PushKey) -> Push | None:
    """Read one record. Raises UnreadableRecordError."""
    return read(key, cast(Raw, redis.hgetall(keys.record(key))))


def get_many(redis: Redis, wanted: Iterable[PushKey]) -> list[Push | None]:
    """Read records in one round trip, in the order asked for.

    One that cannot be read is logged and given as None, so that it holds up no other.
    """
    wanted = list(wanted)
    pipeline = redis.pipeline(transaction=False)
    for key in wanted:
        pipeline.hgetall(keys.record(key))
    answers = pipeline.execute(raise_on_error=False)
    return [read_or_log(key, raw) for key, raw in zip(wanted, answers, strict=True)]


def timeline(redis: Redis, key: PushKey) -> list[Entry]:
    """Read the last entries of a push, oldest first."""
    raw = cast(list[bytes], redis.lrange(keys.timeline(key), 0, -1))
    return [codec.decode_entry(line.decode()) for line in raw]


def read(key: PushKey, raw: Raw | ResponseError) -> Push | None:
    """Make a record of its hash; None when there is none. Raises UnreadableRecordError."""
    if not raw:
        return None
    if isinstance(raw, ResponseError):
        raise UnreadableRecordError(f"{keys.record(key)}: not a hash")
    try:
        return codec.decode(key, texts(raw))
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableRecordError(f"{keys.record(key)}: {type(error).__name__}") from error


def read_or_log(key: PushKey, raw: Raw | ResponseError) -> Push | None:
    """Make a record of its hash as `read` does; one that is unreadable is logged and None."""
    try:
        return read(key, raw)
    except UnreadableRecordError as error:
        _log.error(
            "record.unreadable",
            order_id=key.order_id,
            account=key.account,
            error=str(error),
            meaning="nothing more happens to this order here until the record is readable",
            action="acknowledge the order by hand, then delete the key; find out who wrote it",
        )
        return None


def texts(raw: Raw) -> dict[str, str]:
    """Decode the fields of a hash."""
    pairs = raw.items() if isinstance(raw, dict) else zip(raw[::2], raw[1::2], strict=True)
    return {name.decode(): value.decode() for name, value in pairs}
