"""Somebody pushes orders that do not exist, five hundred a second, among the real ones."""

from devtools.reporting.goals import Goal
from devtools.reporting.markdown import duration
from devtools.simulation.outcome import ResultBuilder
from devtools.simulation.result import ScenarioResult
from devtools.simulation.testbed import SimulationTestbed

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
# From here on the flood is several times what may wait of it. A smaller one is no flood, so it is
# thinner, too: each order in it costs the six attempts that an unknown order gets.
_JUDGED_FROM_SCALE = 0.05


def run(testbed: SimulationTestbed, scale: float) -> ScenarioResult:
    """Play it; `scale` shortens the flood, and makes it thinner when it is very small."""
    over_s = _HOURS * 3600 * scale
    forged_per_s = _FORGED_PER_S * min(1.0, scale / _JUDGED_FROM_SCALE)
    clock, shop, forger = testbed.clock, testbed.shop, testbed.forger
    shop.sell(_RATE_PER_S)
    clock.sleep(_LEAD_S * min(1.0, scale * 10))
    began_s = clock.monotonic()
    forger.flood(forged_per_s, over_s)
    clock.sleep(over_s)
    ended_s = clock.monotonic()
    shop.sell(0)
    testbed.await_(testbed.is_quiet, _PATIENCE_S, every_s=10.0)

    builder = ResultBuilder(
        "flood",
        f"{forged_per_s:g} forged pushes/s for {duration(over_s)} from addresses that are not"
        f" Klarna's, among {_RATE_PER_S:g} real orders/s",
        testbed,
    )
    result = builder.result
    result.notes.append(f"{forger.accepted:,} of {forger.pushed:,} forged pushes were accepted")
    builder.measure_fresh("real ones pushed during the flood", began_s, ended_s)
    allowed_mb = round(_SERVER_MB + _FLOOD_MB + _REAL_ORDER_MB * result.orders)
    is_judged = scale >= _JUDGED_FROM_SCALE
    result.goals += [
        *builder.always(),
        Goal(
            "real pushes meanwhile, p95",
            result.fresh_p95_s,
            _FRESH_P95_S,
            "s",
            is_judged=is_judged,
        ),
        Goal(
            "peak memory of Redis",
            result.memory_bytes / 2**20,
            allowed_mb,
            "MB",
            is_judged=is_judged,
        ),
    ]
    return result
