"""How long a death is felt: from the kill to the start of the next attempt, as Klarna sees it."""

import time
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import cast

from devtools.chaos.member import Member
from devtools.local.sandbox_control import LoggedRequest
from pushes.model import State
from pushes.store import indexes, keys, records
from pushes.store.ledger import Ledger

# What a stopped process has already sent to Redis arrives within this, and what other workers
# have popped is begun.
_LAST_WORDS_S = 0.05


class How(Enum):
    """What became of the worker that had the order in hand."""

    KILLED = "killed worker: until each attempt it had under way is begun again"
    FROZEN = "frozen worker, so its lease has to lapse: until each attempt is begun again"
    POPPED = "struck between taking a job and beginning it: until it is begun"


@dataclass(frozen=True, slots=True)
class Hit:
    """An order that was in hand when its worker was struck, at `at` epoch seconds."""

    order_id: str
    at: float
    how: How


def strike(ledger: Ledger, worker: Member, *, only_freeze: bool = False) -> list[Hit]:
    """Freeze a worker, see what it has in hand, kill it; give what was hit."""
    worker.freeze()
    at = time.time()
    popped = _popped(ledger)
    time.sleep(_LAST_WORDS_S)
    how = How.FROZEN if only_freeze else How.KILLED
    hits = [Hit(order_id, at, how) for order_id in under_way(ledger, worker)]
    hits += [Hit(order_id, at, How.POPPED) for order_id in popped & _popped(ledger)]
    if not only_freeze:
        worker.kill()
    return hits


def under_way(ledger: Ledger, worker: Member) -> list[str]:
    """List the orders a worker has attempts under way for."""
    running = records.get_many(ledger.redis, indexes.members(ledger.redis, State.RUNNING))
    return [
        push.key.order_id
        for push in running
        if push and push.state is State.RUNNING and f"-{worker.pid}-" in str(push.worker)
    ]


def delays(hits: list[Hit], requests: list[LoggedRequest], latency_s: float) -> dict[Hit, float]:
    """Say after how many seconds each order that was hit was begun anew; leave out those never.

    Those are pushes which the third death made `dead`, or whose outcome was on its way already.
    The sandbox logs a call after the latency it was told to have, so that is taken off.
    """
    starts: dict[str | None, list[float]] = {}
    for request in requests:
        if request["operation"] == "get_order":
            began = datetime.fromisoformat(request["at"]).timestamp() - latency_s
            starts.setdefault(request["order_id"], []).append(began)
    found: dict[Hit, float] = {}
    for hit in hits:
        later = [began - hit.at for began in starts.get(hit.order_id, ()) if began > hit.at]
        if later:
            found[hit] = min(later)
    return found


def _popped(ledger: Ledger) -> set[str]:
    """List the orders whose jobs are taken out of the queue, by whomever, but not begun."""
    popped = ledger.redis.lrange(ledger.rq.queue.intermediate_queue_key, 0, -1)
    return {keys.parse_job_id(name.decode()).order_id for name in cast(list[bytes], popped)}
