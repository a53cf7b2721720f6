"""`python -m devtools.bench [--quick] [--only NAME] [--report FILE]`: measure us and our peers."""

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from devtools.bench import environment, machine, report, steps
from devtools.bench.fake_control import ROOT
from devtools.bench.figures import Figures
from devtools.bench.plan import FULL, QUICK

_REPORT = ROOT / "docs" / "reports" / "performance.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write the report; 0 when everything could be measured.

    The verdicts do not count: a slow machine is no failure.
    """
    options = _parser().parse_args(arguments)
    plan = QUICK if options.quick else FULL
    available = [step for step in steps.all_steps() if step.serves_a_goal or not options.quick]
    wanted = [step for step in available if options.only.lower() in step.name.lower()]
    if not wanted:
        names = "\n".join(step.name for step in available)
        sys.stderr.write(f"No measurement's name contains {options.only!r}. There are:\n{names}\n")
        return 2
    if environment.build():
        sys.stderr.write("built devtools/bench/.venv for the peers\n")
    facts = machine.facts()
    began, stolen_s = time.monotonic(), machine.stolen_s()
    figures = Figures()
    failed = steps.take(wanted, plan, figures)
    took_s = time.monotonic() - began
    stolen = (machine.stolen_s() - stolen_s) / (took_s * machine.cores())
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
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like ctrl-c: nothing is left
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except subprocess.CalledProcessError as error:  # pip has said why
        sys.exit(f"bench/.venv could not be built: pip ended with {error.returncode}")
