"""What became of every order: looked up at Klarna and in the ledger when all is over."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice

from devtools.simulation import program
from devtools.simulation.klarna.model import KlarnaModel
from devtools.simulation.testbed import SimulationTestbed
from devtools.simulation.traffic import Shop
from pushes.model import Push, PushKey
from pushes.store import records

# One round trip reads so many records.
_BATCH = 1000


@dataclass
class OrderOutcomes:
    """What became of the orders whose push was accepted; each is counted once."""

    acknowledged: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    lost: list[str] = field(default_factory=list)
    spent: Counter[int] = field(default_factory=Counter)  # attempts charged: how many orders


def look(testbed: SimulationTestbed) -> OrderOutcomes:
    """Look at every order that was accepted."""
    outcomes = OrderOutcomes()
    accepted = iter(testbed.shop.accepted)
    while batch := list(islice(accepted, _BATCH)):
        keys = [PushKey(program.ACCOUNT, order_id) for order_id in batch]
        for order_id, push in zip(batch, records.get_many(testbed.ledger.redis, keys), strict=True):
            _judge(
                outcomes, order_id, push, is_acknowledged=testbed.klarna.is_acknowledged(order_id)
            )
    return outcomes


def _judge(
    outcomes: OrderOutcomes, order_id: str, push: Push | None, *, is_acknowledged: bool
) -> None:
    """Lost is what is neither acknowledged at Klarna nor visible here as dead or waiting."""
    if push:
        outcomes.spent[program.spent(push)] += 1
    if is_acknowledged:
        outcomes.acknowledged += 1
    elif push and program.is_dead(push):
        outcomes.dead[str(push.reason)] += 1
    elif push and program.is_waiting(push):
        outcomes.waiting += 1
    else:
        outcomes.lost.append(order_id)


def waits_s(shop: Shop, klarna: KlarnaModel, since_s: float, until_s: float) -> list[float]:
    """List how long the orders first pushed within a span waited; for ever, if not acknowledged."""
    acknowledged_at = klarna.journal.acknowledged_at
    return [
        acknowledged_at.get(order_id, float("inf")) - pushed_at
        for order_id, pushed_at in shop.pushed_at.items()
        if since_s <= pushed_at < until_s
    ]
