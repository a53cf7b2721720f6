# ruff: noqa: RUF001 - the signs of the report are meant
"""What the bench makes of its figures. No figure is ever asserted: machines differ."""

import re

from devtools.bench import goals, report, systems
from devtools.bench.figures import Figures, Key
from devtools.bench.measures import intake, quota
from devtools.bench.peers.environment import pins
from devtools.local.processes import ROOT
from devtools.reporting.goals import GoalVerdict
from devtools.reporting.numbers import Spread

OURS, THEIRS = Key("ours", "50 ms", "acks_per_s"), Key("theirs", "50 ms", "acks_per_s")


def figures(rounds: dict[Key, list[float]]) -> Figures:
    made = Figures()
    for key, values in rounds.items():
        for value in values:
            made.note(key, value)
    return made


def test_it_keeps_each_round() -> None:
    assert figures({OURS: [30, 10, 20]}).spread(OURS) == Spread(10, 20, 30)
    assert figures({}).spread(OURS) is None


def test_it_takes_ratios_round_by_round() -> None:
    slowing_down = figures({OURS: [400, 200, 100], THEIRS: [200, 100, 25]})

    assert slowing_down.ratio(OURS, THEIRS) == Spread(2, 2, 4)
    assert slowing_down.ratio(OURS, OURS._replace(subject="nobody")) is None


def test_it_knows_no_ratio_to_nothing() -> None:
    assert figures({OURS: [1], THEIRS: [0]}).ratio(OURS, THEIRS) is None


def test_it_writes_a_goal_that_is_missed_and_one_that_was_not_measured() -> None:
    rate = Key(systems.OURS_ALONE.name, "50 ms", "acks_per_s")

    text = report.render(figures({rate: [250, 299, 280]}), {"When": "today"})

    verdicts = "|".join(re.escape(verdict) for verdict in GoalVerdict)
    rows = re.findall(rf"^\| (.*) \| (.*) \| (.*) \| ({verdicts}) \|$", text, re.MULTILINE)
    judged = {what: (limit, measured, verdict) for what, limit, measured, verdict in rows}
    assert len(judged) == len(goals.goals(Figures()))
    alone = judged.pop("acknowledged/s: one worker alone")
    assert alone == ("≥ 300 /s", "280 (250 to 299)", "**not met**")
    assert {verdict for _, _, verdict in judged.values()} == {"not measured"}
    assert "- When: today" in text


def test_it_shows_ours_against_each_other() -> None:
    ours = Key(intake.OURS.name, "always", "full_per_s")
    theirs = ours._replace(subject=intake.ENQUEUE.name)

    text = report.render(figures({ours: [1_500], theirs: [1_000]}), {})

    assert "| ours, AOF always | 1,500 | 1 |" in text
    assert f"| {intake.ENQUEUE.name}, AOF always | 1,000 | 1.50 × |" in text


def test_it_compares_at_equal_concurrency_and_says_so() -> None:
    rates = {
        Key(system.name, "50 ms", "acks_per_s"): [rate]
        for system, rate in (
            (systems.OURS, 1_300.0),
            (systems.DRAMATIQ, 1_000.0),
            (systems.OURS_32, 600.0),
            (systems.DRAMATIQ_32, 500.0),
            (systems.TASKIQ, 1_300.0),
        )
    }

    text = report.render(figures(rates), {})

    ratios = dict(re.findall(r"^\| (\S+, [^|]*) \| [\d,]+ \| ([^|]*) \|", text, re.MULTILINE))
    assert ratios == {
        "ours, 2 × 128": "–",
        "Dramatiq, 2 × 128 threads": "1.30 × (2 × 128)",
        "ours, 2 × 32": "–",
        "Dramatiq, 2 × 32 threads": "1.20 × (2 × 32)",
        "taskiq, 2 × 100 tasks, aiohttp": "1.00 × (2 × 128)",
    }
    met = {goal.text for goal in goals.goals(figures(rates)) if goal.verdict is GoalVerdict.MET}
    assert met == {
        "acknowledged/s: ours, 2 × 128, against Dramatiq, 2 × 128 threads",
        "acknowledged/s: ours, 2 × 32, against Dramatiq, 2 × 32 threads",
    }


def test_it_says_how_much_of_the_quota_one_worker_uses() -> None:
    text = report.render(figures({quota.CALLS: [197.4]}), {})
    assert "quota of 200 calls a second, with calls of 500 ms: it made 197 calls a second" in text


def test_its_peers_run_on_the_programs_versions() -> None:
    run = (ROOT / "requirements" / "run.lock").read_text()
    ours = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", run, re.MULTILINE))
    peers = pins()
    assert {name: peers[name] for name in ours} == ours


def test_its_lock_names_no_host_and_no_path() -> None:
    lock = (ROOT / "devtools" / "bench" / "peers" / "requirements.lock").read_text()
    assert re.findall(r"://| @ |--(?!hash=sha256:)|(?:^|\s)[/~]", lock) == []
