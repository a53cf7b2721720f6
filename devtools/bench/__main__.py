"""`python -m devtools.bench [--quick] [--only NAME] [--report FILE]`: measure us and our peers."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from devtools.bench import machine, report, steps
from devtools.bench.figures import Figures
from devtools.bench.peers import environment
from devtools.bench.plan import FULL, QUICK
from devtools.local.processes import ROOT
from devtools.reporting.run import cores, end_with, say

_REPORT = ROOT / "docs" / "reports" / "performance.md"


def main(arguments: list[str]) -> int:
    """Measure, print and write the report; 0 when everything could be measured.

    The verdicts do not count: a slow machine is no failure.
    """
    options = _parser().parse_args(arguments)
    plan = QUICK if options.quick else FULL
    available = [step for step in steps.all_steps() if step.serves_a_goal or not options.quick]
    wanted = [step for step in available if options.only.lower() in step.name.lower()]
    if not wanted:
        names = "\n".join(step.name for step in available)
        say(f"No measurement's name contains {options.only!r}. There are:\n{names}")
        return 2
    try:
        if environment.build():
            say("built devtools/bench/.venv for the peers")
    except subprocess.CalledProcessError as error:  # pip has said why
        say(f"devtools/bench/.venv could not be built: pip ended with {error.returncode}")
        return 1
    facts = machine.facts()
    began, stolen_s = time.monotonic(), machine.stolen_s()
    figures = Figures()
    failed = steps.take(wanted, plan, figures)
    took_s = time.monotonic() - began
    stolen = (machine.stolen_s() - stolen_s) / (took_s * cores())
    facts["CPU that the hypervisor took meanwhile"] = f"{stolen:.1%}"
    facts["The run"] = f"{plan.rounds} rounds in {took_s / 60:.1f} minutes"
    text = report.render(figures, facts)
    sys.stdout.write(text)
    # A part of the figures, or one round of them, replaces the page only when asked to.
    whole = not (options.quick or options.only or failed)
    if path := options.report or (_REPORT if whole else None):
        path.write_text(text)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devtools.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, for the goals")
    parser.add_argument("--only", metavar="NAME", default="", help="what has NAME in its name")
    parser.add_argument("--report", metavar="FILE", type=Path, help=f"instead of {_REPORT.name}")
    return parser


if __name__ == "__main__":
    end_with(main)
