"""`python -m devtools.chaos`: run the trials, print the table; 1 when an invariant is broken."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from devtools.chaos import report
from devtools.chaos.result import TrialResult
from devtools.chaos.scale import Scale, trials
from devtools.chaos.testbed import FSYNCS
from devtools.local.seeds import seeded
from devtools.reporting.run import end_with, provenance, say


def main(arguments: list[str]) -> int:
    """Run what the arguments ask for; return the exit code."""
    wanted = _parser().parse_args(arguments)
    scale = replace(Scale(), orders=wanted.orders, kills=wanted.kills)
    chosen = trials(scale, [wanted.fsync] if wanted.fsync else FSYNCS)
    if unknown := set(wanted.only) - chosen.keys():
        say(f"no such trial: {', '.join(unknown)}; there are {', '.join(chosen)}")
        return 2
    results = []
    for name, run in chosen.items():
        if not wanted.only or name in wanted.only:
            say(f"{name} …")
            results.append(run(seeded(wanted.seed, name)))
            _tell(results[-1])
    for text in (report.overview(results), report.times(results), report.details(results)):
        sys.stdout.write(f"\n{text}\n")
    if wanted.report:
        wanted.report.write_text(report.page(results, provenance("chaos", arguments)))
    return int(any(result.broken for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devtools.chaos", description=__doc__)
    parser.add_argument("--orders", type=int, default=Scale().orders, help="in the largest trial")
    parser.add_argument("--kills", type=int, default=Scale().kills, help="in the largest trial")
    parser.add_argument("--seed", default="1", help="another seed is another plan")
    parser.add_argument("--fsync", choices=FSYNCS, help="how Redis is killed: one of two trials")
    parser.add_argument("--only", nargs="+", default=[], metavar="TRIAL", help="run no other")
    parser.add_argument("--report", type=Path, help="the page to write")
    return parser


def _tell(result: TrialResult) -> None:
    verdict = "all invariants hold" if not result.broken else f"{len(result.broken)} broken"
    say(f"  {result.took_s:.0f} s, {result.kills.total()} kills, {result.lost} lost; {verdict}")
    for line in result.broken:
        say(f"  broken: {line}")


if __name__ == "__main__":
    end_with(main)
