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

from devtools.bench import intake, throughput, waiting, workers
from devtools.bench.fake_control import BenchError
from devtools.bench.figures import Figures
from devtools.bench.plan import Plan
from devtools.bench.stage import BenchStage

_SYSTEMS_WITH_GOALS = (workers.OURS, workers.OURS_ALONE, workers.DRAMATIQ, workers.RQ_WORKER)


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement; `take` adds what it gave to the figures."""

    name: str
    take: Callable[[BenchStage, Plan, Figures], None]
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
            for system in workers.ALL
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
        BenchStage(Path(directory)) as stage,
    ):
        for number in range(1, plan.rounds + 1):
            for step in steps:
                failed += not _take_one(step, f"round {number}", stage, plan, figures)
    return failed


def _take_one(step: Step, moment: str, stage: BenchStage, plan: Plan, figures: Figures) -> bool:
    began = time.monotonic()
    try:
        step.take(stage, plan, figures)
    except (BenchError, OSError, RedisError, ValueError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"{moment}  {step.name}: FAILED: {type(error).__name__}: {error}\n")
        return False
    sys.stderr.write(f"{moment}  {step.name}  ({time.monotonic() - began:.0f} s)\n")
    return True


def _throughput(system: workers.System, stage: BenchStage, plan: Plan, figures: Figures) -> None:
    throughput.measure(stage, system, plan, figures)


def _intake(
    view: intake.View, condition: str, stage: BenchStage, plan: Plan, figures: Figures
) -> None:
    intake.measure(stage, view, condition, plan, figures)


def _waiting(system: workers.System, stage: BenchStage, plan: Plan, figures: Figures) -> None:
    waiting.measure_peer(stage, system, plan, figures)
