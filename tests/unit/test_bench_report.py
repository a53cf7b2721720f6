# ruff: noqa: RUF001 - the signs of the report are meant
"""What the bench makes of its figures. No figure is ever asserted: machines differ."""

import re

import pytest

from devtools.bench import goals, intake, report, workers
from devtools.bench.environment import pins
from devtools.bench.figures import Figures, Key, Spread, percentile
from devtools.bench.goals import Goal, Verdict
from devtools.local.processes import ROOT

OURS, THEIRS = Key("ours", "50 ms", "acks_per_s"), Key("theirs", "50 ms", "acks_per_s")


def figures(rounds: dict[Key, list[float]]) -> Figures:
    made = Figures()
    for key, values in rounds.items():
        for value in values:
            made.note(key, value)
    return made


def test_it_summarises_rounds() -> None:
    assert figures({OURS: [30, 10, 20]}).spread(OURS) == Spread(10, 20, 30)
    assert figures({}).spread(OURS) is None


def test_it_takes_ratios_round_by_round() -> None:
    slowing_down = figures({OURS: [400, 200, 100], THEIRS: [200, 100, 25]})

    assert slowing_down.ratio(OURS, THEIRS) == Spread(2, 2, 4)
    assert slowing_down.ratio(OURS, OURS._replace(subject="nobody")) is None


def test_it_knows_no_ratio_to_nothing() -> None:
    assert figures({OURS: [1], THEIRS: [0]}).ratio(OURS, THEIRS) is None


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.5, 5), (0.51, 6), (0.99, 10), (1.0, 10)]
)
def test_it_takes_percentiles_by_nearest_rank(share: float, expected: float) -> None:
    assert percentile([*range(10, 0, -1)], share) == expected


def test_it_takes_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_it_shows_the_spread_of_rounds() -> None:
    assert Spread(1_290, 1_330.4, 1_350).shown() == "1,330 (1,290 to 1,350)"
    assert Spread(0.504, 0.504, 0.504).shown(2) == "0.50"


@pytest.mark.parametrize(
    ("at_least", "measured", "verdict"),
    [
        (True, [1, 2, 3], Verdict.MET),
        (True, [1, 1.9, 3], Verdict.MISSED),
        (False, [1, 2, 3], Verdict.MET),
        (False, [1, 2.1, 3], Verdict.MISSED),
        (True, [], Verdict.UNKNOWN),
    ],
)
def test_it_judges_by_the_median(at_least: bool, measured: list[float], verdict: Verdict) -> None:  # noqa: FBT001 - a parameter of the test
    goal = Goal("fast", 2, "×", lambda made: made.spread(OURS), at_least=at_least)
    assert goal.judge(figures({OURS: measured})) is verdict


def test_it_writes_a_goal_that_is_missed_and_one_that_was_not_measured() -> None:
    rate = Key(workers.OURS_ALONE.name, "50 ms", "acks_per_s")

    text = report.render(figures({rate: [250, 299, 280]}), {"When": "today"})

    verdicts = "|".join(re.escape(verdict) for verdict in Verdict)
    rows = re.findall(rf"^\| (.*) \| (.*) \| (.*) \| ({verdicts}) \|$", text, re.MULTILINE)
    judged = {what: (limit, measured, verdict) for what, limit, measured, verdict in rows}
    assert len(judged) == len(goals.GOALS)
    alone = judged.pop("one worker alone: acknowledged/s")
    assert alone == ("≥ 300 /s", "280 (250 to 299)", "**not met**")
    assert {verdict for _, _, verdict in judged.values()} == {"not measured"}
    assert "- When: today" in text


def test_it_shows_ours_against_each_other() -> None:
    ours = Key(intake.OURS.name, "always", "full_per_s")
    theirs = ours._replace(subject=intake.ENQUEUE.name)

    text = report.render(figures({ours: [1_500], theirs: [1_000]}), {})

    assert "| ours, AOF always | 1,500 | 1 |" in text
    assert f"| {intake.ENQUEUE.name}, AOF always | 1,000 | 1.50 × |" in text


def test_its_peers_run_on_the_programs_versions() -> None:
    run = (ROOT / "requirements" / "run.lock").read_text()
    ours = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", run, re.MULTILINE))
    peers = pins()
    assert {name: peers[name] for name in ours} == ours


def test_its_lock_names_no_host_and_no_path() -> None:
    lock = (ROOT / "devtools" / "bench" / "requirements.lock").read_text()
    assert re.findall(r"://| @ |--(?!hash=sha256:)|(?:^|\s)[/~]", lock) == []
