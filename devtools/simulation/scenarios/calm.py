"""A week in which nothing happens but what always does: a 503 now and then, orders shown late."""

from devtools.reporting.goals import Goal
from devtools.reporting.markdown import counted, duration
from devtools.simulation.klarna import faults
from devtools.simulation.outcome import ResultBuilder
from devtools.simulation.result import ScenarioResult
from devtools.simulation.testbed import SimulationTestbed

_DAYS = 7.0
_RATE_PER_S = 0.1
# Of the orders, those that Order Management shows only a while after their push.
_LATER_SHARE = 0.002
_PATIENCE_S = 12 * 3600.0
# Two calls take a third of a second.
_P95_S = 1.0


def run(testbed: SimulationTestbed, scale: float) -> ScenarioResult:
    """Play it; `scale` shortens the week."""
    over_s = _DAYS * 86_400 * scale
    testbed.klarna.faults = faults.rare
    testbed.shop.not_yet_visible_share = _LATER_SHARE
    testbed.lookout.start()
    testbed.shop.sell(_RATE_PER_S)
    testbed.clock.sleep(over_s)
    testbed.shop.sell(0)
    testbed.await_(testbed.is_quiet, _PATIENCE_S, every_s=60.0)

    builder = ResultBuilder(
        "calm",
        f"{duration(over_s)} with an order every {1 / _RATE_PER_S:g} s; one call in a"
        f" thousand fails, {_LATER_SHARE:.1%} of the orders are visible up to a minute late",
        testbed,
    )
    result = builder.result
    builder.measure_fresh("in all", 0, over_s)
    told = testbed.lookout.seen
    result.notes.append(
        f"{testbed.lookout.looks:,} looks at what messages would tell: {counted(told)}"
    )
    result.goals += [
        *builder.always(),
        Goal("push to acknowledged, p95", result.fresh_p95_s, _P95_S, "s"),
        Goal("alerts raised", result.alarms + len(told), 0),
    ]
    return result
