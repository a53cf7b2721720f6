"""`python -m devtools.bench.scale [--quick] [--report FILE]`: measure many accounts, many orders.

The whole takes about 10 minutes and 3 GB of memory: it queues a million orders.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from devtools.bench.figures import Figures
from devtools.bench.scale import costs, report, worker
from devtools.bench.testbed import BenchTestbed
from devtools.local.processes import ROOT
from devtools.reporting.goals import GoalVerdict
from devtools.reporting.run import end_with, provenance, say
from worker.settings import WorkerSettings

_REPORT = ROOT / "docs" / "reports" / "scale.md"
_ACCOUNTS = (1, 500, 5000)
_WAITING = (1_000, 200_000, 1_000_000)
_QUICK_WAITING = (1_000, 20_000)
_SECONDS = 20.0
_QUICK_SECONDS = 5.0


def main(arguments: list[str]) -> int:
    """Measure, print and write the report; 0 when every goal that was measured is met."""
    parser = argparse.ArgumentParser(prog="python -m devtools.bench.scale", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer orders, shorter; no report")
    parser.add_argument("--report", metavar="FILE", type=Path, help=f"instead of {_REPORT.name}")
    options = parser.parse_args(arguments)
    waiting = _QUICK_WAITING if options.quick else _WAITING
    seconds = _QUICK_SECONDS if options.quick else _SECONDS
    figures = Figures()
    with tempfile.TemporaryDirectory() as name, BenchTestbed(Path(name)) as testbed:
        for count in _ACCOUNTS:
            say(f"{count:,} accounts")
            testbed.clear()
            costs.measure_accounts(testbed.redis, testbed.redis_url, count, figures)
            worker.measure(testbed, Path(name), count, seconds, figures)
        for count in waiting:
            say(f"{count:,} orders waiting")
            testbed.clear()
            costs.measure_waiting(testbed.redis, count, figures)
    concurrency = int(WorkerSettings.model_fields["concurrency"].default)
    judged = report.goals(figures, concurrency)
    made = provenance("bench.scale", arguments)
    text = report.render(figures, made, judged, _ACCOUNTS, waiting)
    sys.stdout.write(text)
    if path := options.report or (None if options.quick else _REPORT):
        path.write_text(text)
    return int(any(goal.verdict is GoalVerdict.MISSED for goal in judged))


if __name__ == "__main__":
    end_with(main)
