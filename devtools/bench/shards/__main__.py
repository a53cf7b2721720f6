"""`python -m devtools.bench.shards [--quick] [--report FILE]`: 1, 2 and 4 deployments side by side.

The whole takes 3 minutes.
"""

import argparse
import sys
from pathlib import Path

from devtools.bench.figures import Figures
from devtools.bench.shards import report, trial
from devtools.bench.shards.trial import Windows
from devtools.local.processes import ROOT
from devtools.reporting.goals import GoalVerdict
from devtools.reporting.run import end_with, provenance, say

_REPORT = ROOT / "docs" / "reports" / "shards.md"
_ROUNDS = 3


def main(arguments: list[str]) -> int:
    """Measure, print and write the report; 0 when every goal that was judged is met."""
    parser = argparse.ArgumentParser(prog="python -m devtools.bench.shards", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round; no report")
    parser.add_argument("--report", metavar="FILE", type=Path, help=f"instead of {_REPORT.name}")
    options = parser.parse_args(arguments)
    windows = Windows(1.5, 1.5, 1.0) if options.quick else Windows()
    figures = Figures()
    for number in range(1 if options.quick else _ROUNDS):
        for count in report.COUNTS:
            say(f"round {number + 1}: {count}")
            trial.measure(count, windows, figures)
    judged = report.goals(figures, is_judged=not options.quick)
    text = report.render(figures, provenance("bench.shards", arguments), judged)
    sys.stdout.write(text)
    if path := options.report or (None if options.quick else _REPORT):
        path.write_text(text)
    return int(any(goal.verdict is GoalVerdict.MISSED for goal in judged))


if __name__ == "__main__":
    end_with(main)
