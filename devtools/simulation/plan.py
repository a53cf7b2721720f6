"""Which scenarios there are, and playing one of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from devtools.reporting.goals import Bound, Goal
from devtools.simulation.result import ScenarioResult
from devtools.simulation.scenarios import calm, flood, merchant, outage, password
from devtools.simulation.testbed import OverrunError, SimulationTestbed, running_testbed


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is played, and how many times less often than in life periodic tasks are done.

    `hands_over`: orders are handed over to the merchant, and another account is served beside.
    """

    run: Callable[[SimulationTestbed, float], ScenarioResult]
    interval_factor: float = 1.0
    hands_over: bool = False


# In the order in which they are played. The names are for the command line.
SCENARIOS: dict[str, Scenario] = {
    "outage": Scenario(outage.run),
    "password": Scenario(password.run),
    "flood": Scenario(flood.run),
    # In a quiet week they would be most of the work; a retry may be late by five seconds.
    "calm": Scenario(calm.run, interval_factor=10),
    "merchant": Scenario(merchant.run, hands_over=True),
}


def play(name: str, scale: float, seed: str) -> ScenarioResult:
    """Play one scenario from an empty Redis to the audit, or until it has gone too far wrong."""
    began = time.monotonic()
    scenario = SCENARIOS[name]
    factor, hands_over = scenario.interval_factor, scenario.hands_over
    with running_testbed(f"{seed} {name}", factor, hands_over=hands_over) as testbed:
        try:
            result = scenario.run(testbed, scale)
        except OverrunError as overrun:
            result = ScenarioResult(
                name, f"given up after {testbed.clock.monotonic():,.0f} s: {overrun}"
            )
            result.goals.append(Goal("played to the end", 0, 1, bound=Bound.EXACTLY))
    result.took_s = time.monotonic() - began
    return result
