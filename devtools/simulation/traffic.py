"""Who pushes: Klarna, once for each order and again until it is acknowledged; and forgers.

Klarna's re-sends are those of `sandbox.schedule`. Of the orders whose push was accepted only some
are pushed again, as a sample: with a long outage all of them would be most of the work. One whose
push was refused is always pushed again.
"""

from collections.abc import Callable
from random import Random
from typing import Protocol

from devtools.local.seeds import random_order_id
from devtools.simulation.clock import VirtualClock
from devtools.simulation.klarna.model import KlarnaModel
from pushes.model import TRUSTED
from sandbox.pushing.schedule import KLARNA_SCHEDULE_S

# Klarna publishes the addresses that it pushes from: a few networks.
_KLARNAS_SOURCE = TRUSTED

# One order in so many is pushed again while it waits.
RESEND_SAMPLE = 10

# Forged pushes come in bunches, this often: so many acts would cost more than the pushes.
_BUNCH_S = 0.1


class PushIntake(Protocol):
    """What takes pushes in."""

    def push(self, order_id: str, source: str) -> bool:
        """Take in a push; False when it is refused for now."""


class Shop:
    """Orders of one merchant: made by chance, pushed by Klarna."""

    def __init__(
        self, clock: VirtualClock, klarna: KlarnaModel, intake: PushIntake, random: Random
    ) -> None:
        self.pushed_at: dict[str, float] = {}  # the first push of each order
        self.accepted: set[str] = set()
        self.resent = 0
        self.refused = 0
        self.not_yet_visible_share = (
            0.0  # of the orders, those that Klarna shows only after a while
        )
        self._clock = clock
        self._klarna = klarna
        self._intake = intake
        self._random = random
        self._rate_per_s: Callable[[], float] = lambda: 0.0

    def sell(self, rate_per_s: Callable[[], float] | float) -> None:
        """From now on have so many orders a second pushed, on average; 0 ends it."""
        was_closed = not self._rate_per_s()
        self._rate_per_s = rate_per_s if callable(rate_per_s) else lambda: rate_per_s
        if was_closed and self._rate_per_s():
            self._await_next()

    def _await_next(self) -> None:
        gap_s = self._random.expovariate(self._rate_per_s())
        self._clock.call_at(self._clock.monotonic() + gap_s, self._next)

    def _next(self) -> None:
        if not self._rate_per_s():
            return
        order_id = random_order_id(self._random)
        is_not_yet_visible = self._random.random() < self.not_yet_visible_share
        self._klarna.add(order_id, self._random.uniform(1, 60) if is_not_yet_visible else 0.0)
        self.pushed_at[order_id] = self._clock.monotonic()
        self._push(order_id, 0)
        self._await_next()

    def _push(self, order_id: str, sent_before: int) -> None:
        if self._klarna.is_acknowledged(order_id):
            return
        if self._intake.push(order_id, _KLARNAS_SOURCE):
            self.accepted.add(order_id)
        else:
            self.refused += 1
        self.resent += sent_before > 0
        in_sample = int(order_id[-8:], 16) % RESEND_SAMPLE == 0
        if sent_before < len(KLARNA_SCHEDULE_S) and (in_sample or order_id not in self.accepted):
            due_at_s = self.pushed_at[order_id] + KLARNA_SCHEDULE_S[sent_before]
            self._clock.call_at(due_at_s, lambda: self._push(order_id, sent_before + 1))


class Forger:
    """Pushes orders that do not exist, each once, from many addresses that are not Klarna's.

    When one of a bunch is refused, the rest of the bunch counts as refused without asking, so
    that a flood which is kept out costs next to nothing. What is refused is refused to all of
    them: the cap is on sources that are not known, not on each.
    """

    def __init__(self, clock: VirtualClock, intake: PushIntake, random: Random) -> None:
        self.pushed = 0
        self.accepted = 0
        self._clock = clock
        self._intake = intake
        self._random = random

    def flood(self, rate_per_s: float, over_s: float, sources: int = 1000) -> None:
        """From now on push at this rate, for a while."""
        self._bunch(round(rate_per_s * _BUNCH_S), sources, round(over_s / _BUNCH_S))

    def _bunch(self, size: int, sources: int, bunches: int) -> None:
        self.pushed += size
        for _ in range(size):
            source = f"forger-{self._random.randrange(sources)}"
            if not self._intake.push(random_order_id(self._random), source):
                break
            self.accepted += 1
        if bunches > 1:
            next_s = self._clock.monotonic() + _BUNCH_S
            self._clock.call_at(next_s, lambda: self._bunch(size, sources, bunches - 1))
