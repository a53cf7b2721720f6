"""A model of Klarna's Order Management: what `worker.acknowledge.OrderClient` asks for.

It answers after a while of virtual time, knows its orders, fails as it is told to, and counts each
request as it arrives. Over its quota it answers 429, for any second and not a
calendar one; what it refuses so does not count (assumed, as in the sandbox).
"""

from random import Random

from devtools.simulation.clock import VirtualClock
from devtools.simulation.klarna import faults
from devtools.simulation.klarna.faults import Faults, Refusal
from devtools.simulation.klarna.journal import Journal, SlidingSecond
from klarna import Exchange, Observe, Operation, Order

# Klarna's limit for one merchant, live (Klarna docs, "Rate limiting").
QUOTA_PER_S = 200

# How long a request is on its way to Klarna, and how long until its answer is here: what a call
# within Europe takes. The way spreads requests that were sent at an even pace.
_WAY_S = (0.005, 0.025)
_ANSWER_S = (0.05, 0.25)

_DONE = {Operation.GET_ORDER: 200, Operation.ACKNOWLEDGE: 204}


class KlarnaModel:
    """One merchant's orders at Klarna, and the merchant's client for them in one."""

    def __init__(self, clock: VirtualClock, random: Random) -> None:
        self.journal = Journal()
        self.faults: Faults = faults.none
        self._clock = clock
        self._random = random
        self._visible_from: dict[str, float] = {}
        self._let_through = SlidingSecond()

    def add(self, order_id: str, visible_in_s: float = 0.0) -> None:
        """Take in an order, which Order Management shows after a while."""
        self._visible_from[order_id] = self._clock.monotonic() + visible_in_s

    def is_acknowledged(self, order_id: str) -> bool:
        """Whether Klarna would stop pushing it."""
        return order_id in self.journal.acknowledged_at

    def get_order(self, order_id: str, *, observe: Observe) -> Order:
        """Fetch the order."""
        self._call(Operation.GET_ORDER, order_id, observe)
        return _an_order(order_id)

    def acknowledge(self, order_id: str, *, idempotency_key: str, observe: Observe) -> None:
        """Acknowledge the order; what one key has done, another does again."""
        if not idempotency_key:
            raise ValueError("an acknowledge needs its idempotency key")
        self._call(Operation.ACKNOWLEDGE, order_id, observe)

    def _call(self, operation: Operation, order_id: str, observe: Observe) -> None:
        """Send, let arrive, answer. Raises what the real client would."""
        clock, sent_at = self._clock, self._clock.monotonic()
        clock.sleep(self._random.uniform(*_WAY_S))
        arrived_at = clock.monotonic()
        self.journal.requested(arrived_at)
        refusal = self._judge(order_id, arrived_at)
        if refusal is None:
            self.journal.done(operation, order_id, arrived_at)
        takes_s = refusal.takes_s if refusal else None
        clock.sleep(self._random.uniform(*_ANSWER_S) if takes_s is None else takes_s)
        status = refusal.status if refusal else _DONE[operation]
        self.journal.answers[str(status or "none")] += 1
        took_ms = round((clock.monotonic() - sent_at) * 1000)
        error = f"HTTP {status}" if refusal else None
        exchange = Exchange(operation, status, took_ms, error=error)
        observe(exchange)
        if refusal:
            raise refusal.error_of(exchange)

    def _judge(self, order_id: str, now_s: float) -> Refusal | None:
        if self._let_through.count(now_s) >= QUOTA_PER_S:
            return faults.TOO_MANY
        self._let_through.add(now_s)
        if refusal := self.faults(self._random.random()):
            return refusal
        visible_from = self._visible_from.get(order_id)
        return faults.UNKNOWN if visible_from is None or visible_from > now_s else None


def _an_order(order_id: str) -> Order:
    return Order(
        order_id=order_id,
        status="AUTHORIZED",
        fraud_status="ACCEPTED",
        order_amount=10_000,
        captured_amount=0,
        refunded_amount=0,
        remaining_authorized_amount=10_000,
        purchase_currency="SEK",
        expires_at=None,
        klarna_reference="K4LMR8EF",
        merchant_reference1=None,
        merchant_reference2=None,
    )
