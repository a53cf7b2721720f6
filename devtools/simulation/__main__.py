"""`python -m devtools.simulation`: play the scenarios; 1 when a goal is missed."""

import argparse
import os
import sys
from pathlib import Path

from devtools.reporting.markdown import duration
from devtools.reporting.run import end_with, provenance, say
from devtools.simulation import plan, report
from devtools.simulation.result import ScenarioResult


def main(arguments: list[str]) -> int:
    """Play what the arguments ask for; return the exit code."""
    wanted = _parser().parse_args(arguments)
    origin = provenance("simulation", arguments)
    _stay_on_one_core()
    results = []
    for name in wanted.only or plan.SCENARIOS:
        say(f"{name} …")
        results.append(plan.play(name, wanted.scale, wanted.seed))
        _tell(results[-1])
    for text in (report.overview(results), report.goals(results), report.details(results)):
        sys.stdout.write(f"\n{text}\n")
    if wanted.report:
        wanted.report.write_text(report.page(results, origin))
    return int(any(result.missed for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devtools.simulation", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=plan.SCENARIOS, help="play no other")
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="0.01 is a hundredth of the time: a minute's look, too small for some of the goals",
    )
    parser.add_argument("--seed", default="1", help="another seed plays otherwise")
    parser.add_argument("--report", type=Path, help="the page to write")
    return parser


def _stay_on_one_core() -> None:
    """Keep to one core: threads and Redis take turns anyway, and need not wake another for it.

    Saves a quarter of the time. Redis inherits it.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[os.getpid() % len(cores)]})


def _tell(result: ScenarioResult) -> None:
    verdict = f"{len(result.missed)} goals missed" if result.missed else "no goal missed"
    say(f"  {duration(result.played_s)} played in {duration(result.took_s)}; {verdict}")
    for goal in result.missed:
        say(f"  missed: {goal.text}: {goal.shown}, allowed {goal.shown_limit}")
    for goal in result.not_judged:
        say(f"  not judged at this scale: {goal.text}: {goal.shown}, allowed {goal.shown_limit}")


if __name__ == "__main__":
    end_with(main)
