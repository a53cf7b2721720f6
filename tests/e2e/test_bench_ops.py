"""`make bench-ops`, over a Redis that is nearly empty: everything is asked for, and answered."""

from pathlib import Path

from devtools.bench.ops import report, trial
from devtools.bench.ops.trial import TrialPlan
from devtools.reporting.goals import GoalVerdict

SCALE = 0.001


def test_it_reads_every_page_while_pushes_come_in(tmp_path: Path) -> None:
    plan = TrialPlan.at_scale(SCALE)
    figures = trial.run(plan, tmp_path)

    assert (figures.full.dead, figures.full.settled, figures.full.accounts) == (200, 1000, 3)
    assert (plan.windows, plan.seconds, figures.errors) == (1, 1.0, 0)
    assert len(figures.took_beside.ms) > 50
    assert figures.took_within.ms.keys() == figures.took_beside.ms.keys()
    assert len(figures.alone_ms) == len(figures.beside_ms) == len(figures.within_ms) == 50
    assert figures.search_index_bytes > 0
    judged = report.goals(figures, SCALE)
    verdicts = {goal.verdict for goal in judged}
    assert verdicts == {GoalVerdict.NOT_JUDGED, GoalVerdict.MET}
    text = report.render(figures, "today", judged)
    for name in figures.took_beside.ms:
        assert f"| {name} | " in text
    assert "200 dead letters, 1,000 settled orders" in text
