"""What is killed, and when: made from the seed before the trial begins. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from random import Random


class KillTarget(Enum):
    """What is killed."""

    WORKER = "workers"
    WEB = "web processes"
    WEB_CHILD = "gunicorn's children"
    REDIS = "Redis"


# As often as there are many of them in life; a worker's death is the one that matters most.
PROCESSES: Mapping[KillTarget, int] = {
    KillTarget.WORKER: 6,
    KillTarget.WEB: 3,
    KillTarget.WEB_CHILD: 1,
}
WITH_REDIS: Mapping[KillTarget, int] = {
    KillTarget.REDIS: 7,
    KillTarget.WORKER: 2,
    KillTarget.WEB: 1,
}

# How long Redis stays away after a kill: a supervisor's pause, or a small machine's slow start.
_REDIS_AWAY_S = (0.1, 2.0)


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill, `at_s` seconds after the trial has begun."""

    at_s: float
    target: KillTarget
    index: int  # which of the target's processes, modulo their number
    away_s: float


def make(random: Random, count: int, over_s: float, odds: Mapping[KillTarget, int]) -> list[Kill]:
    """Spread kills over `over_s` seconds, at random: some come close together, some apart.

    Every target is killed once before any is left to the odds.
    """
    targets = list(odds)[:count]
    targets += random.choices(list(odds), list(odds.values()), k=count - len(targets))
    random.shuffle(targets)
    moments = sorted(random.uniform(0, over_s) for _ in range(count))
    return [
        Kill(at_s, target, random.randrange(1000), random.uniform(*_REDIS_AWAY_S))
        for at_s, target in zip(moments, targets, strict=True)
    ]
