"""`python -m devtools.bench.ops [--scale S] [--keep DIR] [--report FILE]`: a full Redis's console.

The whole takes about 8 minutes and 4 GB of memory: it writes 1.2 million orders. With those that
are kept it takes 4.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from devtools.bench.ops import report, trial
from devtools.bench.ops.trial import TrialPlan
from devtools.local.processes import ROOT
from devtools.reporting.goals import GoalVerdict
from devtools.reporting.run import end_with, provenance, say

_REPORT = ROOT / "docs" / "reports" / "console.md"


def main(arguments: list[str]) -> int:
    """Measure, print and write the report; 0 when every goal that was judged is met."""
    parser = argparse.ArgumentParser(prog="python -m devtools.bench.ops", description=__doc__)
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="0.01 is a hundredth of the orders: a look that judges no time and writes no report",
    )
    parser.add_argument(
        "--keep",
        metavar="DIR",
        type=Path,
        help="keep the orders there, 1 GB, and take them from there the next time",
    )
    parser.add_argument("--report", metavar="FILE", type=Path, help=f"instead of {_REPORT.name}")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        figures = trial.run(TrialPlan.at_scale(options.scale, options.keep), Path(name))
    judged = report.goals(figures, options.scale)
    text = report.render(figures, provenance("bench.ops", arguments), judged)
    sys.stdout.write(text)
    if path := options.report or (_REPORT if options.scale >= 1 else None):
        path.write_text(text)
    missed = [goal for goal in judged if goal.verdict is GoalVerdict.MISSED]
    for goal in missed:
        say(f"missed: {goal.text}: {goal.shown}, allowed {goal.shown_limit}")
    return int(bool(missed))


if __name__ == "__main__":
    end_with(main)
