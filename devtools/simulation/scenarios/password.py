"""The password is changed at Klarna and not here: 401 to everything, until it is put right."""

from devtools.simulation import weather
from devtools.simulation.durations import spoken
from devtools.simulation.finding import Finding
from devtools.simulation.goals import Goal
from devtools.simulation.klarna import QUOTA_PER_S
from devtools.simulation.result import ScenarioResult
from devtools.simulation.stage import SimulationStage

_HOURS = 2.0
_RATES_PER_S = (1.0, 10.0)
_LEAD_S = 300.0
_PATIENCE_S = 3600.0
# Attempts under way when it begins end as they must; from then on it is a probe now and then.
_SETTLED_AFTER_S = 60.0
_CALLS_PER_MINUTE = 2
_WITHIN_MINUTES = 10.0


def run(stage: SimulationStage, scale: float) -> ScenarioResult:
    """Play it; `scale` shortens the time until somebody puts the password right."""
    over_s = _HOURS * 3600 * scale
    clock, shop, klarna = stage.clock, stage.shop, stage.klarna
    slow, fast = _RATES_PER_S
    shop.sell(lambda: stage.random.uniform(slow, fast))
    clock.sleep(_LEAD_S * min(1.0, scale * 10))
    klarna.weather = weather.wrong_password
    wrong_s = clock.monotonic()
    clock.sleep(over_s)
    klarna.weather = weather.fair
    right_s = clock.monotonic()
    left = [one for one in shop.pushed_at if not klarna.is_acknowledged(one)]
    stage.await_(lambda: all(klarna.is_acknowledged(one) for one in left), _PATIENCE_S, every_s=5.0)
    acknowledged_at = klarna.journal.acknowledged_at
    drained_s = max((acknowledged_at.get(one, clock.monotonic()) for one in left), default=right_s)
    shop.sell(0)
    stage.await_(stage.is_quiet, 3600, every_s=10.0)

    finding = Finding(
        "password",
        f"every call is answered 401 for {spoken(over_s)}, with {slow:g} to {fast:g}"
        f" orders/s: {len(left):,} wait when the password is put right",
        stage,
    )
    result = finding.result
    result.drain_s = drained_s - right_s
    result.optimum_s = len(left) / (QUOTA_PER_S / 2 - (slow + fast) / 2)
    finding.measure_fresh("pushed while the backlog drains", right_s, max(drained_s, right_s + 60))
    finding.measure_calls(wrong_s + _SETTLED_AFTER_S, right_s)
    result.goals += [
        *finding.always(),
        Goal("alerts raised", result.alarms, 1, exactly=True),
        Goal("calls a minute, after the first", result.calls_per_minute or 0, _CALLS_PER_MINUTE),
        Goal(
            "all acknowledged after it was put right", result.drain_s / 60, _WITHIN_MINUTES, "min"
        ),
    ]
    return result
