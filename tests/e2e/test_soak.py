"""The soak in its small form: the load, the trouble and the page. `make soak` judges growth."""

import sys

import pytest

from devtools.local.seeds import seeded
from devtools.reporting.goals import GoalVerdict
from devtools.soak import report, running
from devtools.soak.timetable import SMALL, Deed


@pytest.mark.timeout(300)  # the last crashed order waits for its turn
def test_the_promise_is_kept_over_all_of_it() -> None:
    result = running.run(seeded("1", "soak"), SMALL)

    sys.stdout.write(report.page(result, "in a test"))
    assert result.trial.broken == []
    assert result.trial.lost == 0
    assert result.trial.accepted > SMALL.pushes_per_s * SMALL.load_s
    assert all(result.deeds[deed] for deed in Deed)
    assert result.trial.kills.total() >= 4
    assert result.replayed > 0
    verdicts = {goal.verdict for goal in report.goals(result)}
    assert verdicts == {GoalVerdict.MET, GoalVerdict.NOT_JUDGED}
