"""Somebody pushes orders that do not exist, five hundred a second, among the real ones."""

from devtools.simulation.durations import spoken
from devtools.simulation.finding import Finding
from devtools.simulation.goals import Goal
from devtools.simulation.result import ScenarioResult
from devtools.simulation.stage import SimulationStage

_HOURS = 1.0
_RATE_PER_S = 10.0
_FORGED_PER_S = 500.0
# Klarna's own addresses have become known by then.
_LEAD_S = 300.0
# An unknown order is dead after 23 minutes; twice that, and it is over.
_PATIENCE_S = 3600.0
_FRESH_P95_S = 10.0
# What may wait and what is kept of the dead, each with a little room: 20,000 of 2.2 kB, 10,000 of
# 7 kB. The rest is the real orders'; RQ's jobs of them expire by real time: most are still there.
_FLOOD_MB = 120.0
_REAL_ORDER_MB = 0.007
_SERVER_MB = 10.0


def run(stage: SimulationStage, scale: float) -> ScenarioResult:
    """Play it; `scale` shortens the flood."""
    over_s = _HOURS * 3600 * scale
    clock, shop, forger = stage.clock, stage.shop, stage.forger
    shop.sell(_RATE_PER_S)
    clock.sleep(_LEAD_S * min(1.0, scale * 10))
    began_s = clock.monotonic()
    forger.flood(_FORGED_PER_S, over_s)
    clock.sleep(over_s)
    ended_s = clock.monotonic()
    shop.sell(0)
    stage.await_(stage.is_quiet, _PATIENCE_S, every_s=10.0)

    finding = Finding(
        "flood",
        f"{_FORGED_PER_S:g} forged pushes/s for {spoken(over_s)} from addresses that are not"
        f" Klarna's, among {_RATE_PER_S:g} real orders/s",
        stage,
    )
    result = finding.result
    result.notes.append(f"{forger.accepted:,} of {forger.pushed:,} forged pushes were accepted")
    finding.measure_fresh("real ones pushed during the flood", began_s, ended_s)
    allowed_mb = round(_SERVER_MB + _FLOOD_MB + _REAL_ORDER_MB * result.orders)
    result.goals += [
        *finding.always(),
        Goal("real pushes meanwhile, p95", result.fresh_p95_s, _FRESH_P95_S, "s"),
        Goal("peak memory of Redis", result.memory_bytes / 2**20, allowed_mb, "MB"),
    ]
    return result
