"""`python -m devtools.chaos`: run the trials, print the table; 1 when an invariant is broken."""

import argparse
import os
import platform
import shlex
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from devtools.chaos import page, plan, report
from devtools.chaos.result import TrialResult
from devtools.chaos.scale import Scale, trials
from devtools.chaos.stage import Fsync
from devtools.local.server_binary import describe_server

_FSYNCS: tuple[Fsync, ...] = ("always", "everysec")
_INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Run what the arguments ask for; return the exit code."""
    wanted = _parser().parse_args(arguments)
    scale = replace(Scale(), orders=wanted.orders, kills=wanted.kills)
    chosen = trials(scale, [wanted.fsync] if wanted.fsync else _FSYNCS)
    if unknown := set(wanted.only) - chosen.keys():
        _say(f"no such trial: {', '.join(unknown)}; there are {', '.join(chosen)}")
        return 2
    results = []
    for name, run in chosen.items():
        if not wanted.only or name in wanted.only:
            _say(f"{name} …")
            results.append(run(plan.seeded(wanted.seed, name)))
            _tell(results[-1])
    for text in (report.table(results), report.times(results), report.kills(results)):
        sys.stdout.write(f"\n{text}\n")
    if wanted.report:
        command = shlex.join(["python", "-m", "devtools.chaos", *arguments])
        date = datetime.now(UTC).date().isoformat()
        wanted.report.write_text(page.document(results, command, _machine(), date))
    return int(any(result.broken for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devtools.chaos", description=__doc__)
    parser.add_argument("--orders", type=int, default=Scale().orders, help="in the largest trial")
    parser.add_argument("--kills", type=int, default=Scale().kills, help="in the largest trial")
    parser.add_argument("--seed", default="1", help="another seed is another plan")
    parser.add_argument("--fsync", choices=_FSYNCS, help="how Redis is killed: one of two trials")
    parser.add_argument("--only", nargs="+", default=[], metavar="TRIAL", help="run no other")
    parser.add_argument("--report", type=Path, help="the page to write")
    return parser


def _tell(result: TrialResult) -> None:
    verdict = "all invariants hold" if not result.broken else f"{len(result.broken)} broken"
    _say(f"  {result.took_s:.0f} s, {result.kills.total()} kills, {result.lost} lost; {verdict}")
    for line in result.broken:
        _say(f"  broken: {line}")


def _machine() -> list[str]:
    return [f"{os.cpu_count()} cores", f"Python {platform.python_version()}", describe_server()]


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
