"""What Redis holds for a push and nobody can read: kept aside for a while, for an operator.

A key is renamed as it is, so nothing of it is lost, whatever its type and its size.
"""

from collections.abc import Callable
from typing import cast

from redis import Redis
from rq.executions import ExecutionRegistry
from rq.job import Job
from rq.results import Result

from pushes import policy
from pushes.model import PushKey
from pushes.store import keys, records
from pushes.store.rq_mirror import Command

# So much of what was set aside is shown, in fields or lines, and in characters.
_SHOWN_LINES = 40
_SHOWN_CHARS = 2000

_KEPT_S = int(policy.RETENTION.total_seconds())


def set_aside(name: str) -> list[Command]:
    """List what keeps a key aside, and lets it expire there when settled records do."""
    return [("EXPIRE", name, _KEPT_S), ("RENAME", name, keys.unreadable(name))]


def of_wrong_type(redis: Redis, key: PushKey) -> list[str]:
    """Name the keys of one push, beside its record, that are not of the type they should be."""
    types = _types(key)
    pipeline = redis.pipeline(transaction=False)
    for name in types:
        pipeline.type(name)
    found = zip(types.items(), cast(list[bytes], pipeline.execute()), strict=True)
    return [name for (name, kind), seen in found if seen not in {kind.encode(), b"none"}]


def content(redis: Redis, key: PushKey) -> dict[str, str]:
    """Read what was set aside of a push, by the name of its key; each as the text of a literal.

    A record that is unreadable and was not set aside yet is among it.
    """
    record = keys.record(key)
    names = [record, *map(keys.unreadable, (record, *_types(key)))]
    pipeline = redis.pipeline(transaction=False)
    for name in names:
        pipeline.type(name)
    kinds = cast(list[bytes], pipeline.execute())
    there = {name: kind.decode() for name, kind in zip(names, kinds, strict=True)}
    return {
        name: repr(_READERS[kind](redis, name))[:_SHOWN_CHARS]
        for name, kind in there.items()
        if kind in _READERS and (name != record or _is_unreadable(redis, key))
    }


def _is_unreadable(redis: Redis, key: PushKey) -> bool:
    push = records.get(redis, key)
    return push is not None and push.unreadable is not None


def _types(key: PushKey) -> dict[str, str]:
    job_id = keys.job_id(key)
    return {
        keys.timeline(key): "list",
        Job.key_for(job_id): "hash",
        str(Result.get_key(job_id)): "stream",  # type: ignore[no-untyped-call]
        ExecutionRegistry.key_template.format(job_id): "zset",
    }


_READERS: dict[str, Callable[[Redis, str], object]] = {
    "hash": lambda redis, name: cast(tuple[int, object], redis.hscan(name, count=_SHOWN_LINES))[1],
    "string": lambda redis, name: redis.getrange(name, 0, _SHOWN_CHARS),
    "list": lambda redis, name: redis.lrange(name, 0, _SHOWN_LINES),
    "set": lambda redis, name: redis.srandmember(name, _SHOWN_LINES),
    "zset": lambda redis, name: redis.zrange(name, 0, _SHOWN_LINES, withscores=True),
    "stream": lambda redis, name: redis.xrange(name, count=_SHOWN_LINES),
}
