"""What became of every order: looked up at Klarna and in the ledger when all is over."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from devtools.simulation import program
from devtools.simulation.stage import SimulationStage
from pushes.model import Push, PushKey
from pushes.store import records

# One round trip reads so many records.
_BATCH = 1000


@dataclass
class Ends:
    """How the orders whose push was accepted ended; each is counted once."""

    acknowledged: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    lost: list[str] = field(default_factory=list)
    spent: Counter[int] = field(default_factory=Counter)  # attempts charged: how many orders


def look(stage: SimulationStage) -> Ends:
    """Look at every order that was accepted."""
    ends = Ends()
    accepted = iter(stage.shop.accepted)
    while batch := list(islice(accepted, _BATCH)):
        keys = [PushKey(program.ACCOUNT, order_id) for order_id in batch]
        for order_id, push in zip(batch, records.get_many(stage.ledger.redis, keys), strict=True):
            _judge(ends, order_id, push, is_acknowledged=stage.klarna.is_acknowledged(order_id))
    return ends


def _judge(ends: Ends, order_id: str, push: Push | None, *, is_acknowledged: bool) -> None:
    """Lost is what is neither acknowledged at Klarna nor visible here as dead or waiting."""
    if push:
        ends.spent[program.spent(push)] += 1
    if is_acknowledged:
        ends.acknowledged += 1
    elif push and program.is_dead(push):
        ends.dead[str(push.reason)] += 1
    elif push and program.is_waiting(push):
        ends.waiting += 1
    else:
        ends.lost.append(order_id)


def quantile_s(seconds: Iterable[float], share: float) -> float:
    """Give the time that this share of all does not exceed; 0 of none."""
    ordered = sorted(seconds)
    return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)] if ordered else 0.0


def waits_s(stage: SimulationStage, since_s: float, until_s: float) -> list[float]:
    """List how long the orders first pushed within a span waited; for ever, if not acknowledged."""
    acknowledged_at = stage.klarna.journal.acknowledged_at
    return [
        acknowledged_at.get(order_id, float("inf")) - pushed_at
        for order_id, pushed_at in stage.shop.pushed_at.items()
        if since_s <= pushed_at < until_s
    ]
