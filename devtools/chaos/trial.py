"""What the trouble-maker of one trial holds in its hands while the orders come in."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from devtools.chaos.evidence import Evidence
from devtools.chaos.orders import ChaosOrder
from devtools.chaos.recovery import Hit
from devtools.chaos.result import Times, TrialResult
from devtools.chaos.sender import ChaosSender
from devtools.chaos.stage import ChaosStage


@dataclass
class Trial:
    """One trial, from its first push on."""

    stage: ChaosStage
    orders: list[ChaosOrder]
    sender: ChaosSender
    result: TrialResult
    is_calm: bool  # Klarna does not fail, so nothing may be acknowledged twice
    latency_s: float = 0
    hits: list[Hit] = field(default_factory=list)
    measures: list[Callable[["Trial", Evidence], Times]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def wait_until(self, at_s: float) -> None:
        """Wait for a moment of the trial, in seconds since its beginning."""
        time.sleep(max(0.0, self.began + at_s - time.monotonic()))

    def slow_klarna(self, latency_s: float) -> None:
        """Let each call to Klarna take this long from now on."""
        self.latency_s = latency_s
        self.stage.sandbox.settings(latency_ms=latency_s * 1000)
