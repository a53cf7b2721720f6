"""The password is changed at Klarna and not here: 401 to everything, until it is put right."""

from devtools.reporting.goals import Bound, Goal
from devtools.reporting.markdown import duration
from devtools.simulation.klarna import faults
from devtools.simulation.klarna.model import QUOTA_PER_S
from devtools.simulation.outcome import ResultBuilder
from devtools.simulation.result import ScenarioResult
from devtools.simulation.testbed import SimulationTestbed

_HOURS = 2.0
_RATES_PER_S = (1.0, 10.0)
_LEAD_S = 300.0
_PATIENCE_S = 3600.0
# Attempts under way when it begins end as they must; from then on it is a probe now and then.
_SETTLED_AFTER_S = 60.0
_CALLS_PER_MINUTE = 2
_WITHIN_MINUTES = 10.0
# A smaller run has no whole minute to count calls in, or too few orders to be slow with.
_CALLS_JUDGED_FROM_SCALE = 0.05
_DRAIN_JUDGED_FROM_SCALE = 0.5


def run(testbed: SimulationTestbed, scale: float) -> ScenarioResult:
    """Play it; `scale` shortens the time until somebody puts the password right."""
    over_s = _HOURS * 3600 * scale
    clock, shop, klarna = testbed.clock, testbed.shop, testbed.klarna
    slow, fast = _RATES_PER_S
    shop.sell(lambda: testbed.random.uniform(slow, fast))
    clock.sleep(_LEAD_S * min(1.0, scale * 10))
    klarna.faults = faults.wrong_password
    wrong_s = clock.monotonic()
    clock.sleep(over_s)
    klarna.faults = faults.none
    right_s = clock.monotonic()
    left = [one for one in shop.pushed_at if not klarna.is_acknowledged(one)]
    testbed.await_(
        lambda: all(klarna.is_acknowledged(one) for one in left), _PATIENCE_S, every_s=5.0
    )
    acknowledged_at = klarna.journal.acknowledged_at
    drained_s = max((acknowledged_at.get(one, clock.monotonic()) for one in left), default=right_s)
    shop.sell(0)
    testbed.await_(testbed.is_quiet, 3600, every_s=10.0)

    builder = ResultBuilder(
        "password",
        f"every call is answered 401 for {duration(over_s)}, with {slow:g} to {fast:g}"
        f" orders/s: {len(left):,} wait when the password is put right",
        testbed,
    )
    result = builder.result
    result.drain_s = drained_s - right_s
    result.optimum_s = len(left) / (QUOTA_PER_S / 2 - (slow + fast) / 2)
    builder.measure_fresh("pushed while the backlog drains", right_s, max(drained_s, right_s + 60))
    builder.measure_calls(wrong_s + _SETTLED_AFTER_S, right_s)
    result.goals += [
        *builder.always(),
        Goal("alerts raised", result.alarms, 1, bound=Bound.EXACTLY),
        Goal(
            "calls a minute, after the first",
            result.calls_per_minute,
            _CALLS_PER_MINUTE,
            is_judged=scale >= _CALLS_JUDGED_FROM_SCALE,
        ),
        Goal(
            "all acknowledged after it was put right",
            result.drain_s / 60,
            _WITHIN_MINUTES,
            "min",
            is_judged=scale >= _DRAIN_JUDGED_FROM_SCALE,
        ),
    ]
    return result
