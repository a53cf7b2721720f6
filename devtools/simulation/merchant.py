"""A model of a merchant's own system, which takes the orders that are handed over to it."""

from random import Random

from pydantic import SecretStr

from devtools.simulation.clock import VirtualClock
from klarna import Order
from pushes.accounts.policies import HandOver, Style
from pushes.model import Entry, Push
from worker.attempt.failures import MerchantFailedError
from worker.attempt.hand_over.shop import MerchantSystem, References

# How long a shop that is well takes over an order.
WELL_S = (0.05, 0.2)

# A worker gives up after 10 s without a byte.
HANGING_S = 10.0


class MerchantModel(MerchantSystem):
    """Takes an order after a while of virtual time, or after it fails to; calls nothing.

    `takes_s` is the shortest and the longest time of that; `is_failing` whether it takes none.
    `taken_at` is when it had an order, `asked_at` when the call for it began.
    """

    def __init__(self, clock: VirtualClock, random: Random) -> None:
        hand_over = HandOver(url=SecretStr("https://shop.example/"), style=Style.FORWARD)
        super().__init__(hand_over, pool_size=1, user_agent="simulated")
        self.takes_s = WELL_S
        self.is_failing = False
        self.taken_at: dict[str, float] = {}
        self.asked_at: dict[str, float] = {}
        self.repeats = 0
        self._clock = clock
        self._random = random

    def hand_over(self, _push: Push, order: Order, _entries: list[Entry]) -> References:
        """Take one order. Raises MerchantFailedError."""
        is_failing, asked_at = self.is_failing, self._clock.monotonic()
        self._clock.sleep(self._random.uniform(*self.takes_s))
        if is_failing:
            raise MerchantFailedError("the shop answered HTTP 500")
        self.repeats += order.order_id in self.taken_at
        self.taken_at.setdefault(order.order_id, self._clock.monotonic())
        self.asked_at.setdefault(order.order_id, asked_at)
        return References()
