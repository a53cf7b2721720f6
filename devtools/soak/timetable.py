"""What happens when: made from the seed before the run begins. Pure."""

from dataclasses import dataclass
from enum import Enum
from random import Random

from devtools.chaos import plan
from devtools.chaos.plan import Kill, KillTarget

# As often as there are many of them in life, and Redis now and then.
_ODDS = {KillTarget.WORKER: 5, KillTarget.WEB: 3, KillTarget.WEB_CHILD: 1, KillTarget.REDIS: 2}


class Deed(Enum):
    """What is done at a moment, besides kills."""

    FEED = "the next orders are made, and pushed one after the other"
    FLOOD = "as many made-up orders as in half a minute are pushed in two seconds"
    REFUSE = "Klarna refuses the account four times, so that it is held"
    OPERATE = "an operator replays each dead letter once, and discards what died anew"


@dataclass(frozen=True, slots=True)
class SoakScale:
    """How long, how much and how often; seconds, but for `minutes` and the rate."""

    minutes: float = 30
    pushes_per_s: float = 10
    kill_every_s: float = 15
    flood_every_s: float = 150
    refuse_every_s: float = 240
    operate_every_s: float = 45
    sample_every_s: float = 5
    retention_s: float = 240
    # What is settled has expired by then, RQ's own five minutes over and the indexes pruned; 0: not
    # waited for, and what grows is not judged.
    drain_s: float = 380

    @property
    def load_s(self) -> float:
        """How long it is pushed and killed."""
        return self.minutes * 60 - self.drain_s

    @property
    def is_judged(self) -> bool:
        """Whether it is long enough for two thirds of steady state."""
        return bool(self.drain_s) and self.load_s / 3 >= self.drain_s


SMALL = SoakScale(
    minutes=0.4,
    kill_every_s=4,
    flood_every_s=8,
    refuse_every_s=9,
    operate_every_s=7,
    sample_every_s=1,
    retention_s=8,
    drain_s=0,
)

FEED_EVERY_S = 30.0


def make(random: Random, scale: SoakScale) -> list[tuple[float, Deed | Kill]]:
    """List what is done, by the seconds after the load began."""
    load_s = scale.load_s
    found: list[tuple[float, Deed | Kill]] = [
        (at_s, deed)
        for deed, every_s, first_s in (
            (Deed.FEED, FEED_EVERY_S, 0.0),
            (Deed.FLOOD, scale.flood_every_s, scale.flood_every_s / 2),
            (Deed.REFUSE, scale.refuse_every_s, scale.refuse_every_s / 3),
            (Deed.OPERATE, scale.operate_every_s, scale.operate_every_s),
        )
        for at_s in _moments(first_s, every_s, load_s)
    ]
    kills = plan.make(random, int(load_s / scale.kill_every_s), load_s, _ODDS)
    return sorted([*found, *((kill.at_s, kill) for kill in kills)], key=lambda one: one[0])


def _moments(first_s: float, every_s: float, until_s: float) -> list[float]:
    count = int(max(0.0, until_s - first_s) / every_s) + 1
    return [at_s for n in range(count) if (at_s := first_s + n * every_s) < until_s]
