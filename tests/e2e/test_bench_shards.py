"""The measure of several deployments in its small form: it runs, and its page is whole."""

import re

from devtools.bench.figures import Figures, Key
from devtools.bench.shards import report, trial
from devtools.bench.shards.trial import Windows
from devtools.reporting.goals import GoalVerdict


def test_it_measures_two_deployments_side_by_side() -> None:
    figures = Figures()

    trial.measure(2, Windows(pushes_s=0.5, acks_s=0.5, idle_s=0.3), figures)

    for figure in (trial.PUSHES, trial.ACKS, trial.MEMORY):
        spread = figures.spread(Key("ours", "2", figure))
        assert spread
        assert spread.median > 0
    judged = report.goals(figures, is_judged=True)
    text = report.render(figures, "in a test", judged)
    assert {goal.verdict for goal in judged} == {GoalVerdict.NOT_MEASURED}  # neither 1 nor 4
    assert "$" not in text
    assert re.search(r"\| pushes/s \| \N{EN DASH} \| [\d,]+ \| \N{EN DASH} \|", text)
