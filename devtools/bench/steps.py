"""The measurements of a round, in the order in which they are taken, and taking them."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from redis.exceptions import RedisError

from devtools.bench import systems
from devtools.bench.figures import Figures
from devtools.bench.measures import intake, quota, settled, throughput, waiting
from devtools.bench.plan import Plan
from devtools.bench.testbed import BenchError, BenchTestbed
from devtools.local.processes import ProcessError

_SYSTEMS_WITH_GOALS = (
    systems.OURS,
    systems.DRAMATIQ,
    systems.OURS_32,
    systems.DRAMATIQ_32,
    systems.OURS_ALONE,
    systems.RQ_WORKER,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement; `take` adds what it gave to the figures."""

    name: str
    take: Callable[[BenchTestbed, Plan, Figures], None]
    serves_a_goal: bool


def all_steps() -> list[Step]:
    """List what a round consists of."""
    return [
        *(
            Step(
                f"throughput: {system.name}",
                partial(_throughput, system),
                serves_a_goal=system in _SYSTEMS_WITH_GOALS,
            )
            for system in systems.ALL
        ),
        *(
            Step(
                f"intake: {view.name}{f', AOF {condition}' if condition else ''}",
                partial(_intake, view, condition),
                serves_a_goal=view is not intake.OURS_SILENT,
            )
            for view in intake.ALL
            for condition in intake.conditions(view)
        ),
        Step("quota: ours", quota.measure, serves_a_goal=True),
        Step("memory: ours, settled", settled.measure, serves_a_goal=True),
        Step("waiting: ours", waiting.measure_ours, serves_a_goal=True),
        *(
            Step(f"waiting: {system.name}", partial(_waiting, system), serves_a_goal=False)
            for system in waiting.PEERS
        ),
    ]


def take(steps: Sequence[Step], plan: Plan, figures: Figures) -> int:
    """Take all steps, round by round; return how many failed. A failed one ends no other."""
    failed = 0
    with (
        tempfile.TemporaryDirectory(prefix="klarna-ack-bench-") as directory,
        BenchTestbed(Path(directory)) as testbed,
    ):
        for number in range(1, plan.rounds + 1):
            for step in steps:
                failed += not _take_one(step, f"round {number}", testbed, plan, figures)
    return failed


def _take_one(step: Step, moment: str, testbed: BenchTestbed, plan: Plan, figures: Figures) -> bool:
    began = time.monotonic()
    try:
        step.take(testbed, plan, figures)
    except (
        BenchError,
        ProcessError,
        OSError,
        RedisError,
        ValueError,
        subprocess.TimeoutExpired,
    ) as error:
        sys.stderr.write(f"{moment}  {step.name}: FAILED: {type(error).__name__}: {error}\n")
        return False
    sys.stderr.write(f"{moment}  {step.name}  ({time.monotonic() - began:.0f} s)\n")
    return True


def _throughput(
    system: systems.System, testbed: BenchTestbed, plan: Plan, figures: Figures
) -> None:
    throughput.measure(testbed, system, plan, figures)


def _intake(
    view: intake.View, condition: str, testbed: BenchTestbed, plan: Plan, figures: Figures
) -> None:
    intake.measure(testbed, view, condition, plan, figures)


def _waiting(system: systems.System, testbed: BenchTestbed, plan: Plan, figures: Figures) -> None:
    waiting.measure_peer(testbed, system, plan, figures)
