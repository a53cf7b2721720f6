import math
import re
from collections import Counter

import pytest
import structlog

from devtools.simulation import alarms, audit, page, report
from devtools.simulation.durations import spoken
from devtools.simulation.goals import Goal, Verdict
from devtools.simulation.result import ScenarioResult
from pushes import log

RESULT = ScenarioResult(
    "a scenario",
    "much happens",
    orders=1200,
    dead=Counter({"no_such_order": 2}),
    attempts=1800,
    spent=Counter({0: 900, 1: 300}),
    requests=3000,
    answers=Counter({"200": 2000, "503": 1000}),
    busiest_second=190,
    drain_s=300.0,
    optimum_s=250.0,
    fresh="40 pushed meanwhile",
    fresh_p95_s=1.5,
    calls_per_minute=2,
    alarms=1,
    memory_bytes=10 * 2**20,
    played_s=7200.0,
    took_s=12.0,
    goals=[Goal("orders lost", 0, 0), Goal("p95", 11.0, 10.0, "s")],
)


@pytest.mark.parametrize(
    ("goal", "bound", "shown", "verdict"),
    [
        (Goal("lost", 0, 0), "0", "0", Verdict.MET),
        (Goal("lost", 1, 0), "0", "1", Verdict.MISSED),
        (Goal("p95", 10.0, 10, "s"), "≤ 10 s", "10 s", Verdict.MET),
        (Goal("p95", math.inf, 10, "s"), "≤ 10 s", "inf s", Verdict.MISSED),
        (Goal("alerts", 1, 1, exactly=True), "1", "1", Verdict.MET),
        (Goal("alerts", 0, 1, exactly=True), "1", "0", Verdict.MISSED),
    ],
)
def test_it_judges_a_goal(goal: Goal, bound: str, shown: str, verdict: Verdict) -> None:
    assert (goal.bound, goal.shown, goal.verdict) == (bound, shown, verdict)


def test_it_writes_a_page_that_says_which_goals_are_missed() -> None:
    made = page.document([RESULT], "python -m devtools.simulation", ["Python 3"], "2026-03-01")

    cells = "1,200 | 0 | 2 | 1.50 | 0.25 | 190 | 5 min | 4.17 min | 1.50 s | 2 | 1 | 10 MB"
    assert f"| a scenario | {cells} |" in made
    assert "| a scenario | orders lost | 0 | 0 | met |" in made
    assert "| a scenario | p95 | ≤ 10 s | 11 s | **not met** |" in made
    assert "attempts charged to an order: 900 with 0, 300 with 1; dead: 2 no_such_order" in made
    assert "2 h played in 12 s." in made
    assert not re.search(r"(?<![\w./])/(?:home|root|tmp|work)\b|\{", made)


def test_it_shows_nothing_where_nothing_was_measured() -> None:
    row = report.table([ScenarioResult("empty", "nothing")]).splitlines()[-1]
    none = "\N{EN DASH}"
    assert row == (
        f"| empty | 0 | 0 | 0 | 0.00 | 0.00 | 0 | {none} | {none} | 0.00 s | {none} | 0 | 0 MB |"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.25, "0.25 s"), (100, "100 s"), (120, "2 min"), (21_600, "6 h"), (604_800, "7 d")],
)
def test_it_says_times_in_the_unit_that_is_easiest_to_read(seconds: float, words: str) -> None:
    assert spoken(seconds) == words


def test_it_tells_the_95th_of_a_hundred() -> None:
    assert audit.quantile_s((float(number) for number in range(1, 101)), 0.95) == 95
    assert audit.quantile_s([1.0, math.inf], 0.95) == math.inf
    assert audit.quantile_s([], 0.95) == 0


def test_it_hears_alarms_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    processors = list(before["processors"])

    with alarms.listening() as heard:
        logger = log.get("a module of ours")
        logger.error("account.held", meaning="a password is wrong")
        logger.warning("push.held")
        logger.error("attempt.hung")
        logger.info("push.acknowledged")

    assert heard.events == Counter(["account.held", "push.held", "attempt.hung"])
    assert (heard.raised, heard.faults) == (1, {"attempt.hung": 1})
    assert (structlog.get_config(), before["processors"]) == (before, processors)
    assert capsys.readouterr() == ("", "")
