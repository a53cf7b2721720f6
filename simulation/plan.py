"""Which scenarios there are, and playing one of them."""

import time
from collections.abc import Callable

from simulation import stage
from simulation.goals import Goal
from simulation.result import Result
from simulation.scenarios import calm, flood, outage, password
from simulation.stage import OverrunError, Stage

# In the order in which they are played. The names are for the command line.
SCENARIOS: dict[str, Callable[[Stage, float], Result]] = {
    "outage": outage.run,
    "password": password.run,
    "flood": flood.run,
    "calm": calm.run,
}


def play(name: str, scale: float, seed: str) -> Result:
    """Play one scenario from an empty Redis to the audit, or until it has gone too far wrong."""
    began = time.monotonic()
    with stage.opened(f"{seed} {name}") as opened:
        try:
            result = SCENARIOS[name](opened, scale)
        except OverrunError as overrun:
            result = Result(name, f"given up after {opened.clock.monotonic():,.0f} s: {overrun}")
            result.goals.append(Goal("played to the end", 0, 1, exactly=True))
    result.took_s = time.monotonic() - began
    return result
