"""Which scenarios there are, and playing one of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from devtools.simulation import stage
from devtools.simulation.goals import Goal
from devtools.simulation.result import ScenarioResult
from devtools.simulation.scenarios import calm, flood, outage, password
from devtools.simulation.stage import OverrunError, SimulationStage


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is played, and how much more seldom than in life the workers do their periodic tasks."""

    run: Callable[[SimulationStage, float], ScenarioResult]
    leisure: float = 1.0


# In the order in which they are played. The names are for the command line.
SCENARIOS: dict[str, Scenario] = {
    "outage": Scenario(outage.run),
    "password": Scenario(password.run),
    "flood": Scenario(flood.run),
    # In a quiet week they would be most of the work; a retry may be late by five seconds.
    "calm": Scenario(calm.run, leisure=10),
}


def play(name: str, scale: float, seed: str) -> ScenarioResult:
    """Play one scenario from an empty Redis to the audit, or until it has gone too far wrong."""
    began = time.monotonic()
    scenario = SCENARIOS[name]
    with stage.opened(f"{seed} {name}", scenario.leisure) as opened:
        try:
            result = scenario.run(opened, scale)
        except OverrunError as overrun:
            result = ScenarioResult(
                name, f"given up after {opened.clock.monotonic():,.0f} s: {overrun}"
            )
            result.goals.append(Goal("played to the end", 0, 1, exactly=True))
    result.took_s = time.monotonic() - began
    return result
