"""How long Redis is held by what somebody does: its own count of the time in each command."""

from collections.abc import Callable
from typing import cast

from redis import Redis

# Time inside of a script counts for the script and for the commands it runs: only once here.
_SCRIPTS = ("cmdstat_evalsha", "cmdstat_eval")


def script_ms(redis: Redis, act: Callable[[], object]) -> float:
    """Return how many milliseconds of Redis the scripts took that `act` ran."""
    before = _spent_us(redis)
    act()
    return (_spent_us(redis) - before) / 1000


def _spent_us(redis: Redis) -> int:
    stats = cast(dict[str, dict[str, int]], redis.info("commandstats"))
    return sum(stats[name]["usec"] for name in _SCRIPTS if name in stats)
