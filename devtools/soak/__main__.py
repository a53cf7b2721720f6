"""`python -m devtools.soak`: load and trouble for half an hour; 1 when a goal is missed."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from devtools.local.seeds import seeded
from devtools.reporting.goals import GoalVerdict
from devtools.reporting.run import end_with, provenance, say
from devtools.soak import report, running
from devtools.soak.timetable import SoakScale

# Below that there is no steady state to be judged, and no time to wait until all has expired.
_LEAST_JUDGED_MINUTES = 26


def main(arguments: list[str]) -> int:
    """Run, print and write the report; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m devtools.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=SoakScale().minutes)
    parser.add_argument("--rate", type=float, default=SoakScale().pushes_per_s, help="pushes/s")
    parser.add_argument("--seed", default="1", help="another seed is another plan")
    parser.add_argument("--report", type=Path, help="the page to write")
    options = parser.parse_args(arguments)
    scale = replace(SoakScale(), minutes=options.minutes, pushes_per_s=options.rate)
    if options.minutes < _LEAST_JUDGED_MINUTES:
        scale = replace(scale, drain_s=0)
        say(f"less than {_LEAST_JUDGED_MINUTES} minutes: growth is not judged")
    result = running.run(seeded(options.seed, "soak"), scale)
    text = report.page(result, provenance("soak", arguments))
    sys.stdout.write(f"{text}\n")
    if options.report:
        options.report.write_text(text)
    return int(any(goal.verdict is GoalVerdict.MISSED for goal in report.goals(result)))


if __name__ == "__main__":
    end_with(main)
