"""How long and how often to measure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds are those of one window in one round; what comes before them is not counted."""

    rounds: int
    latencies_ms: tuple[int, ...]
    throughput_s: float
    settle_s: float
    quota_s: float
    intake_s: float
    steady_s: float
    waiting_s: float
    waiting_fast_s: float


# Three rounds are the fewest that have a middle.
FULL = Plan(
    rounds=3,
    latencies_ms=(100, 50, 0),
    throughput_s=1.6,
    settle_s=0.5,
    quota_s=4.0,
    intake_s=2.0,
    steady_s=3.0,
    waiting_s=4.0,
    waiting_fast_s=3.0,
)
# To see that everything works, and roughly how it stands.
QUICK = Plan(
    rounds=1,
    latencies_ms=(50,),
    throughput_s=1.0,
    settle_s=0.4,
    quota_s=3.0,
    intake_s=1.0,
    steady_s=1.5,
    waiting_s=2.0,
    waiting_fast_s=1.5,
)
