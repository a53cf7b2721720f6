"""Which trials are run, and how large: ten minutes of them, or little enough for every commit."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from random import Random

from devtools.chaos import plan
from devtools.chaos.result import TrialResult
from devtools.chaos.trials import in_a_row, kills, outage, rolling
from devtools.local.embedded import Fsync

# One kill in two seconds: about what it takes a small machine to bring the successor up.
_KILL_EVERY_S = 2.0
# Each kill of Redis costs its time away, and its return.
_REDIS_KILL_EVERY_S = 2.5
# As many as a busy shop's; a machine of two cores bears it along with all the restarts.
_ROLLING_RATE_PER_S = 15.0

Run = Callable[[Random], TrialResult]


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the trials are."""

    orders: int = 600
    kills: int = 50
    redis_kills: int = 12
    rounds: int = 2
    freezes: int = 3
    away_s: float = 30
    frozen_s: float = 20
    holding: bool = True


SMALL = Scale(
    orders=100, kills=5, redis_kills=5, rounds=1, freezes=1, away_s=5, frozen_s=5, holding=False
)


def trials(scale: Scale, fsyncs: Iterable[Fsync]) -> dict[str, Run]:
    """Name the trials, in the order in which they are run. The names are for the command line."""
    found: dict[str, Run] = {
        "kills": partial(
            kills.run,
            "workers and web processes killed",
            count=scale.orders,
            kills=scale.kills,
            over_s=scale.kills * _KILL_EVERY_S,
            odds=plan.PROCESSES,
            holding=scale.holding,
        )
    }
    for fsync in fsyncs:
        found[f"redis-{fsync}"] = partial(
            kills.run,
            f"Redis killed, too; AOF {fsync}",
            count=scale.orders,
            kills=scale.redis_kills,
            over_s=scale.redis_kills * _REDIS_KILL_EVERY_S,
            odds=plan.WITH_REDIS,
            fsync=fsync,
        )
    return found | {
        "outage": partial(
            outage.run, count=scale.orders // 2, away_s=scale.away_s, frozen_s=scale.frozen_s
        ),
        "rolling": partial(rolling.run, rate_per_s=_ROLLING_RATE_PER_S, rounds=scale.rounds),
        "in-a-row": partial(
            in_a_row.run, count=scale.orders, kills=scale.kills, freezes=scale.freezes
        ),
    }
