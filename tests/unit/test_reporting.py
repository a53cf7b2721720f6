# ruff: noqa: RUF001 - the signs of the reports are meant
"""What the tools' reports are made of: numbers, tables, goals, and the end of a run."""

import math
import signal
import subprocess
import sys
from collections import Counter

import pytest

from devtools.local.processes import ROOT
from devtools.reporting.goals import Bound, Goal, GoalVerdict
from devtools.reporting.markdown import counted, duration, table
from devtools.reporting.numbers import Spread, percentile
from devtools.reporting.run import provenance

INTERRUPTIBLE = """
import signal, sys, time
from devtools.reporting.run import end_with, say

def main(arguments):
    if arguments:
        return int(arguments[0])
    try:
        say("running")
        time.sleep(60)
    finally:
        say("cleaned up")
    return 0

end_with(main)
"""


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.5, 5), (0.51, 6), (0.95, 10), (0.99, 10), (1.0, 10)]
)
def test_it_takes_percentiles_by_nearest_rank(share: float, expected: float) -> None:
    assert percentile([*range(10, 0, -1)], share) == expected


def test_it_tells_each_of_a_hundred_whatever_floating_point_says() -> None:
    hundred = range(1, 101)
    assert [percentile(hundred, rank / 100) for rank in hundred] == [*hundred]
    assert percentile([1.0, math.inf], 0.95) == math.inf


def test_it_takes_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_it_summarises_rounds() -> None:
    assert Spread.of([30, 10, 20]) == Spread(10, 20, 30)
    assert Spread(1_290, 1_330.4, 1_350).shown() == "1,330 (1,290 to 1,350)"
    assert Spread(0.504, 0.504, 0.504).shown(2) == "0.50"


def test_it_writes_words_on_the_left_and_numbers_on_the_right() -> None:
    made = table(("name", "what", "n"), [("a", "b", 1), ("c", "d", 2)], words=2)
    assert made.splitlines() == [
        "| name | what | n |",
        "| --- | --- | ---: |",
        "| a | b | 1 |",
        "| c | d | 2 |",
    ]


def test_it_writes_counts_the_largest_first() -> None:
    assert counted(Counter({"503": 3, "200": 1_200})) == "1,200 200, 3 503"
    assert counted({"b": 1, "a": 2}) == "1 b, 2 a"
    assert counted({}) == "none"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0.25, "0.25 s"),
        (100, "100 s"),
        (120, "2 min"),
        (21_600, "6 h"),
        (604_800, "7 d"),
    ],
)
def test_it_writes_times_in_the_unit_that_is_easiest_to_read(
    seconds: float | None, words: str
) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("goal", "row"),
    [
        (Goal("lost", 0, 0), ("lost", "0", "0", "met")),
        (Goal("lost", 1, 0), ("lost", "0", "1", "**not met**")),
        (Goal("p95", 10.0, 10, "s"), ("p95", "≤ 10 s", "10 s", "met")),
        (Goal("p95", math.inf, 10, "s"), ("p95", "≤ 10 s", "inf s", "**not met**")),
        (Goal("p95", 11, 10, "s", is_judged=False), ("p95", "≤ 10 s", "11 s", "not judged")),
        (Goal("p95", None, 10, "s"), ("p95", "≤ 10 s", "–", "not measured")),
        (Goal("alerts", 1, 1, bound=Bound.EXACTLY), ("alerts", "1", "1", "met")),
        (Goal("alerts", 0, 1, bound=Bound.EXACTLY), ("alerts", "1", "0", "**not met**")),
    ],
)
def test_it_judges_a_goal_and_writes_it(goal: Goal, row: tuple[str, ...]) -> None:
    assert goal.row == row


@pytest.mark.parametrize(
    ("bound", "rounds", "verdict"),
    [
        (Bound.AT_LEAST, [1, 2, 3], GoalVerdict.MET),
        (Bound.AT_LEAST, [1, 1.9, 3], GoalVerdict.MISSED),
        (Bound.AT_MOST, [1, 2, 3], GoalVerdict.MET),
        (Bound.AT_MOST, [1, 2.1, 3], GoalVerdict.MISSED),
    ],
)
def test_it_judges_several_rounds_by_their_median(
    bound: Bound, rounds: list[float], verdict: GoalVerdict
) -> None:
    assert Goal("fast", Spread.of(rounds), 2, "×", bound).verdict is verdict


def test_it_says_how_a_report_came_about() -> None:
    made = provenance("chaos", ["--only", "kills"])
    assert "with `python -m devtools.chaos --only kills`, on " in made
    assert "/" not in made


def test_it_ends_with_what_main_returns() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTIBLE, "3"], cwd=ROOT, check=False)
    assert done.returncode == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_what_it_has_started_when_interrupted(number: signal.Signals) -> None:
    command = [sys.executable, "-c", INTERRUPTIBLE]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "running\n"
        running.send_signal(number)
        assert running.wait(30) == 130
        assert running.stderr.read() == "cleaned up\n"
