"""How long a death is felt: from the kill to the start of the next attempt, as Klarna sees it."""

import time
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import cast

from devtools.chaos.fleet import Replica
from devtools.local.sandbox_control import LoggedRequest
from pushes.model import State
from pushes.store import indexes, keys, records
from pushes.store.ledger import Ledger

# What a stopped process has already sent to Redis arrives within this, and what other workers
# have popped is begun.
_IN_FLIGHT_S = 0.05


class Interruption(Enum):
    """What became of the worker that had the order in hand."""

    KILLED = "killed worker: until each order it had under way is attempted again, alone"
    FROZEN = "frozen worker, so its lease has to lapse: until each order is attempted again, alone"
    POPPED = "killed between taking a job and beginning it: until it is begun"


@dataclass(frozen=True, slots=True)
class InterruptedAttempt:
    """An order that a worker had in hand when it was killed or frozen, at `at` epoch seconds."""

    order_id: str
    at: float
    how: Interruption


def interrupt(
    ledger: Ledger, worker: Replica, *, only_freeze: bool = False
) -> list[InterruptedAttempt]:
    """Freeze a worker, see what it has in hand, kill it; return that."""
    worker.freeze()
    at = time.time()
    popped = _popped(ledger)
    time.sleep(_IN_FLIGHT_S)
    how = Interruption.FROZEN if only_freeze else Interruption.KILLED
    found = [InterruptedAttempt(order_id, at, how) for order_id in under_way(ledger, worker)]
    found += [
        InterruptedAttempt(order_id, at, Interruption.POPPED)
        for order_id in popped & _popped(ledger)
    ]
    if not only_freeze:
        worker.kill()
    return found


def under_way(ledger: Ledger, worker: Replica) -> list[str]:
    """List the orders a worker has attempts under way for."""
    running = records.get_many(ledger.redis, indexes.members(ledger.redis, State.RUNNING))
    return [
        push.key.order_id
        for push in running
        if push and push.state is State.RUNNING and f"-{worker.pid}-" in str(push.worker)
    ]


def delays(
    interrupted: list[InterruptedAttempt], requests: list[LoggedRequest], latency_s: float
) -> dict[InterruptedAttempt, float]:
    """Return after how many seconds each was begun anew; those that never were are left out.

    Those are pushes which the third death made `dead`, or whose outcome was on its way already.
    The sandbox logs a call after the latency it was told to have, so that is taken off.
    """
    starts: dict[str | None, list[float]] = {}
    for request in requests:
        if request["operation"] == "get_order":
            began = datetime.fromisoformat(request["at"]).timestamp() - latency_s
            starts.setdefault(request["order_id"], []).append(began)
    found: dict[InterruptedAttempt, float] = {}
    for attempt in interrupted:
        later = [began - attempt.at for began in starts.get(attempt.order_id, ())]
        if later := [delay for delay in later if delay > 0]:
            found[attempt] = min(later)
    return found


def _popped(ledger: Ledger) -> set[str]:
    """List the orders whose jobs are taken out of the queue, by whomever, but not begun."""
    popped = ledger.redis.lrange(ledger.rq.queue.intermediate_queue_key, 0, -1)
    return {keys.parse_job_id(name.decode()).order_id for name in cast(list[bytes], popped)}
