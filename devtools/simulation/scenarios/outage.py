# ruff: noqa: RUF001 - the sign for "times" is meant
"""Klarna fails at everything for six hours while orders keep coming, then it is well again.

Half of what the quota allows is orders, for each takes two calls; what is fresh meanwhile takes
its share. So the backlog takes at least backlog / (quota / 2 - fresh rate).
"""

from devtools.simulation import weather
from devtools.simulation.durations import spoken
from devtools.simulation.finding import Finding
from devtools.simulation.goals import Goal
from devtools.simulation.klarna import QUOTA_PER_S
from devtools.simulation.result import ScenarioResult
from devtools.simulation.stage import SimulationStage

_HOURS = 6.0
_RATE_PER_S = 10.0
_LEAD_S = 300.0
# A program that spreads retries over hours takes hours; what is not done then waits.
_PATIENCE_S = 8 * 3600.0
_SLACK = 1.15
_FRESH_P95_S = 10.0


def run(stage: SimulationStage, scale: float) -> ScenarioResult:
    """Play it; `scale` shortens the outage."""
    over_s = _HOURS * 3600 * scale
    clock, shop, klarna = stage.clock, stage.shop, stage.klarna
    shop.sell(_RATE_PER_S)
    clock.sleep(_LEAD_S * min(1.0, scale * 10))
    klarna.weather = weather.outage
    clock.sleep(over_s)
    klarna.weather = weather.fair
    well_s = clock.monotonic()
    backlog = [one for one in shop.pushed_at if not klarna.is_acknowledged(one)]

    def is_drained() -> bool:
        while backlog and klarna.is_acknowledged(backlog[-1]):
            backlog.pop()
        return not backlog

    left = tuple(backlog)
    stage.await_(is_drained, _PATIENCE_S, every_s=1.0)
    drained_s = max(
        (klarna.journal.acknowledged_at.get(one, clock.monotonic()) for one in left), default=well_s
    )
    shop.sell(0)
    stage.await_(stage.is_quiet, 3600, every_s=10.0)

    finding = Finding(
        "outage",
        f"Klarna answers nothing but 503 and time-outs for {spoken(over_s)}, with"
        f" {_RATE_PER_S:g} orders/s all the time: {len(left):,} wait when it is well again",
        stage,
    )
    result = finding.result
    result.drain_s = drained_s - well_s
    result.optimum_s = len(left) / (QUOTA_PER_S / 2 - _RATE_PER_S)
    finding.measure_fresh("pushed while the backlog drains", well_s, max(drained_s, well_s + 60))
    result.goals += [
        *finding.always(),
        Goal("drained, against the optimum", result.drain_s / result.optimum_s, _SLACK, "×"),
        Goal("fresh pushes meanwhile, p95", result.fresh_p95_s, _FRESH_P95_S, "s"),
    ]
    return result
