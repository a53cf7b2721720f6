# ruff: noqa: RUF001 - the sign for "times" is meant
"""Klarna fails at everything for six hours while orders keep coming, then it is well again.

Half of what the quota allows is orders, for each takes two calls; what is fresh meanwhile takes
its share. So the backlog takes at least backlog / (quota / 2 - fresh rate).
"""

from devtools.reporting.goals import Goal
from devtools.reporting.markdown import duration
from devtools.simulation.klarna import faults
from devtools.simulation.klarna.model import QUOTA_PER_S
from devtools.simulation.outcome import ResultBuilder
from devtools.simulation.result import ScenarioResult
from devtools.simulation.testbed import SimulationTestbed

_HOURS = 6.0
_RATE_PER_S = 10.0
_LEAD_S = 300.0
# A program that spreads retries over hours takes hours; what is not done then waits.
_PATIENCE_S = 8 * 3600.0
_SLACK = 1.15
_FRESH_P95_S = 10.0
# In a smaller run the minute until the probe that ends the outage is most of the time.
_JUDGED_FROM_SCALE = 0.5


def run(testbed: SimulationTestbed, scale: float) -> ScenarioResult:
    """Play it; `scale` shortens the outage."""
    over_s = _HOURS * 3600 * scale
    clock, shop, klarna = testbed.clock, testbed.shop, testbed.klarna
    shop.sell(_RATE_PER_S)
    clock.sleep(_LEAD_S * min(1.0, scale * 10))
    klarna.faults = faults.outage
    clock.sleep(over_s)
    klarna.faults = faults.none
    well_s = clock.monotonic()
    backlog = [one for one in shop.pushed_at if not klarna.is_acknowledged(one)]

    def is_drained() -> bool:
        while backlog and klarna.is_acknowledged(backlog[-1]):
            backlog.pop()
        return not backlog

    left = tuple(backlog)
    testbed.await_(is_drained, _PATIENCE_S, every_s=1.0)
    drained_s = max(
        (klarna.journal.acknowledged_at.get(one, clock.monotonic()) for one in left), default=well_s
    )
    shop.sell(0)
    testbed.await_(testbed.is_quiet, 3600, every_s=10.0)

    builder = ResultBuilder(
        "outage",
        f"Klarna answers nothing but 503 and time-outs for {duration(over_s)}, with"
        f" {_RATE_PER_S:g} orders/s all the time: {len(left):,} wait when it is well again",
        testbed,
    )
    result = builder.result
    result.drain_s = drained_s - well_s
    result.optimum_s = len(left) / (QUOTA_PER_S / 2 - _RATE_PER_S)
    builder.measure_fresh("pushed while the backlog drains", well_s, max(drained_s, well_s + 60))
    is_judged = scale >= _JUDGED_FROM_SCALE
    result.goals += [
        *builder.always(),
        Goal(
            "drained, against the optimum",
            result.drain_s / result.optimum_s,
            _SLACK,
            "×",
            is_judged=is_judged,
        ),
        Goal(
            "fresh pushes meanwhile, p95",
            result.fresh_p95_s,
            _FRESH_P95_S,
            "s",
            is_judged=is_judged,
        ),
    ]
    return result
