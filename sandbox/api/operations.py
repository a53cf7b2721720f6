"""Klarna's calls, one function each, and the table that names them. Refuses nothing on the way in.

Another call is a function here and a line in `OPERATIONS`; `api` does what is the same for all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.api.order_body import order_body
from sandbox.api.orders import Acknowledging, StoredOrder, judge_acknowledge
from sandbox.faults.kinds import GET_ORDER
from sandbox.serving.answers import ApiAnswer, json_answer, klarna_error
from sandbox.settings import SandboxSettings

UNKNOWN = "unknown"
PREFIX = "/ordermanagement/v1/orders/"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer, whether an acknowledge really took place, and whether it is a replay."""

    answer: ApiAnswer
    effect: bool = False
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a call needs to know besides its order."""

    settings: SandboxSettings
    now_s: float
    correlation_id: str


Operation = Callable[[StoredOrder, CallContext], Outcome]


def get_order(order: StoredOrder, _: CallContext) -> Outcome:
    """Show the order (rec)."""
    return Outcome(json_answer(200, order_body(order)))


def acknowledge(order: StoredOrder, context: CallContext) -> Outcome:
    """Acknowledge the order: 204 (rec), or 403 NOT_ALLOWED (assumed). Ends its pushes (doc)."""
    verdict = judge_acknowledge(order, context.settings)
    if verdict is not Acknowledging.ACCEPTED:
        return Outcome(klarna_error(403, verdict, context.correlation_id))
    order.acknowledge(context.now_s)
    return Outcome(ApiAnswer(204), effect=True)


#: (method, what follows the order id) → the name in the log, and what it does.
OPERATIONS: Mapping[tuple[str, str], tuple[str, Operation]] = {
    ("GET", ""): (GET_ORDER, get_order),
    ("POST", "acknowledge"): ("acknowledge", acknowledge),
}
NAMES = tuple(name for name, _ in OPERATIONS.values())
