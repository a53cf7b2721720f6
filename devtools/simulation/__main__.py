"""`python -m devtools.simulation`: play the scenarios; 1 when a goal is missed."""

import argparse
import os
import platform
import shlex
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from devtools.local.server_binary import describe_server
from devtools.simulation import page, plan, report
from devtools.simulation.durations import spoken
from devtools.simulation.result import ScenarioResult

_INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Play what the arguments ask for; return the exit code."""
    wanted = _parser().parse_args(arguments)
    _stay_on_one_core()
    results = []
    for name in wanted.only or plan.SCENARIOS:
        _say(f"{name} …")
        results.append(plan.play(name, wanted.scale, wanted.seed))
        _tell(results[-1])
    for text in (report.table(results), report.goals(results), report.courses(results)):
        sys.stdout.write(f"\n{text}\n")
    if wanted.report:
        command = shlex.join(["python", "-m", "devtools.simulation", *arguments])
        date = datetime.now(UTC).date().isoformat()
        wanted.report.write_text(page.document(results, command, _machine(), date))
    return int(any(result.missed for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devtools.simulation", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=plan.SCENARIOS, help="play no other")
    parser.add_argument("--scale", type=float, default=1.0, help="0.01 is a hundredth of the time")
    parser.add_argument("--seed", default="1", help="another seed is another course")
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
    verdict = f"{len(result.missed)} goals missed" if result.missed else "all goals met"
    _say(f"  {spoken(result.played_s)} played in {spoken(result.took_s)}; {verdict}")
    for goal in result.missed:
        _say(f"  missed: {goal.text}: {goal.shown}, allowed {goal.bound}")


def _machine() -> list[str]:
    return [f"Python {platform.python_version()}", describe_server()]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT):  # a script's background job ignores SIGINT
        signal.signal(number, _interrupt)
    try:
        code = main(sys.argv[1:])
    except KeyboardInterrupt:
        code = _INTERRUPTED
    sys.exit(code)
