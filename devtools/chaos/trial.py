"""One trial while it runs: what the code that makes its trouble works with."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from devtools.chaos.audit.evidence import Evidence
from devtools.chaos.audit.recovery import InterruptedAttempt
from devtools.chaos.orders import ChaosOrder
from devtools.chaos.result import Times, TrialResult
from devtools.chaos.sender import ChaosSender
from devtools.chaos.testbed import ChaosTestbed


@dataclass
class Trial:
    """One trial, from its first push on."""

    testbed: ChaosTestbed
    orders: list[ChaosOrder]
    sender: ChaosSender
    result: TrialResult
    is_calm: bool  # Klarna does not fail, so nothing may be acknowledged twice
    latency_s: float = 0
    interrupted: list[InterruptedAttempt] = field(default_factory=list)
    measures: list[Callable[["Trial", Evidence], Times]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def wait_until(self, at_s: float) -> None:
        """Wait for a moment of the trial, in seconds since its beginning."""
        time.sleep(max(0.0, self.began + at_s - time.monotonic()))

    def stop_pushes(self) -> None:
        """Push no more new orders; those that were not pushed yet are no part of the trial."""
        pushed = self.sender.stop()
        self.orders = [order for order in self.orders if order.order_id in pushed]

    def slow_klarna(self, latency_s: float) -> None:
        """Let each call to Klarna take this long from now on."""
        self.latency_s = latency_s
        self.testbed.sandbox.settings(latency_ms=latency_s * 1000)
