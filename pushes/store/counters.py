"""Counters that operators watch, over all processes: what had to be mended, cut or refused."""

from typing import cast

from redis import Redis

from pushes.store import codec, keys


def add(redis: Redis, event: str, count: int = 1) -> None:
    """Count an event."""
    redis.hincrby(keys.COUNTERS, event, count)


def totals(redis: Redis) -> dict[str, int]:
    """Read what was counted since the first push."""
    raw = cast(dict[bytes, bytes], redis.hgetall(keys.COUNTERS))
    return {event.decode(): codec.number(count) for event, count in raw.items()}
