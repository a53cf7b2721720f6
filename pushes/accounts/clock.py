"""The one clock of all that is compared between processes: Redis's own time.

Workers, operators and the web process run on machines whose clocks differ; a pause that one of
them begins, and another sees end, goes by none of these. Scripts ask Redis, behind `clock.lua`.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from redis import Redis

from pushes.store.connection import read_script

# What a script takes as an argument.
Fact = str | int | float

# Stands in for Redis's time where that is virtual.
Now = Callable[[], datetime]


def script(*names: str) -> str:
    """Read scripts of this folder that compare times."""
    return read_script("pushes.accounts", "clock.lua", *names)


def argument(now: Now | None) -> Fact:
    """Return what a script takes as the time: the one given, else '' for Redis's own."""
    return now().timestamp() if now else ""


def read(redis: Redis, now: Now | None = None) -> datetime:
    """Return the time. Raises RedisError."""
    if now:
        return now()
    seconds, microseconds = redis.time()
    return datetime.fromtimestamp(seconds + microseconds / 1_000_000, UTC)
