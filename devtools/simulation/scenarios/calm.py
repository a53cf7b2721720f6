"""A week in which nothing happens but what always does: a 503 now and then, orders shown late."""

from devtools.simulation import weather
from devtools.simulation.durations import spoken
from devtools.simulation.finding import Finding
from devtools.simulation.goals import Goal
from devtools.simulation.result import ScenarioResult
from devtools.simulation.stage import SimulationStage

_DAYS = 7.0
_RATE_PER_S = 0.1
# Of the orders, those that Order Management shows only a while after their push.
_LATE_SHARE = 0.002
_PATIENCE_S = 12 * 3600.0
# Two calls take a third of a second.
_P95_S = 1.0


def run(stage: SimulationStage, scale: float) -> ScenarioResult:
    """Play it; `scale` shortens the week."""
    over_s = _DAYS * 86_400 * scale
    stage.klarna.weather = weather.noise
    stage.shop.late_share = _LATE_SHARE
    stage.shop.sell(_RATE_PER_S)
    stage.clock.sleep(over_s)
    stage.shop.sell(0)
    stage.await_(stage.is_quiet, _PATIENCE_S, every_s=60.0)

    finding = Finding(
        "calm",
        f"{spoken(over_s)} with an order every {1 / _RATE_PER_S:g} s; one call in a"
        f" thousand fails, {_LATE_SHARE:.1%} of the orders are visible up to a minute late",
        stage,
    )
    result = finding.result
    finding.measure_fresh("in all", 0, over_s)
    result.goals += [
        *finding.always(),
        Goal("push to acknowledged, p95", result.fresh_p95_s, _P95_S, "s"),
    ]
    return result
