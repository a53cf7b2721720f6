import re
from collections import Counter

import pytest
import structlog

from devtools.reporting.goals import Goal
from devtools.simulation import alarms, report
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
    goals=[
        Goal("orders lost", 0, 0),
        Goal("p95", 11.0, 10.0, "s"),
        Goal("drained", 12.0, 10.0, "min", is_judged=False),
    ],
)


def test_it_writes_a_page_that_says_which_goals_are_missed() -> None:
    made = report.page([RESULT], "on 2026-03-01 with `this`, on 2 cores")

    cells = "1,200 | 0 | 2 | 1.50 | 0.25 | 190 | 5 min | 4.17 min | 1.50 s | 2 | 1 | 10 MB"
    assert f"| a scenario | {cells} |" in made
    assert "| a scenario | orders lost | 0 | 0 | met |" in made
    assert "| a scenario | p95 | ≤ 10 s | 11 s | **not met** |" in made
    assert "| a scenario | drained | ≤ 10 min | 12 min | not judged |" in made
    assert [goal.text for goal in RESULT.missed] == ["p95"]
    assert [goal.text for goal in RESULT.not_judged] == ["drained"]
    assert "attempts charged to an order: 900 with 0, 300 with 1; dead: 2 no_such_order" in made
    assert "2 h played in 12 s." in made
    assert not re.search(r"(?<![\w./])/(?:home|root|tmp|work)\b|\{", made)


def test_it_shows_nothing_where_nothing_was_measured() -> None:
    row = report.overview([ScenarioResult("empty", "nothing")]).splitlines()[-1]
    none = "\N{EN DASH}"
    assert row == (
        f"| empty | 0 | 0 | 0 | 0.00 | 0.00 | 0 | {none} | {none} | 0.00 s | {none} | 0 | 0 MB |"
    )


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
