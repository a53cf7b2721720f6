"""docs/operations.md and docs/runbook.md name every task, metric, counter and log event."""

import ast
import re
import runpy
from collections.abc import Iterator

import pytest
from redis import Redis

from devtools.local.processes import ROOT
from notify.recipients import Recipient
from pushes import policy, resends
from pushes.model import State
from pushes.policy import RetryPolicy
from pushes.read import at_risk, overview
from pushes.read.alarms import Alarm
from pushes.store.ledger import Ledger
from pushes.store.rq_job import JOB_TIMEOUT_S
from pushes.store.rq_mirror import LEASE_S
from tests.documents import OPERATIONS, RUNBOOK, table, words
from worker import runner
from worker.periodic import tasks
from worker.wiring import assemble

TEXT = OPERATIONS.read_text()
PROGRAM = ("pushes", "worker", "service", "klarna", "notify", "cli", "deploy")

# What the f-strings in names of events and counters can become.
EXPANSIONS = {
    "push.{push.state}": [f"push.{state}" for state in State if state.is_settled],
    "push.{kind}_requeued": ["push.stray_requeued", "push.orphan_requeued"],
    "{kind}_requeued": ["stray_requeued", "orphan_requeued"],
}


def calls(*folders: str) -> Iterator[ast.Call]:
    """Find every call in the program's code."""
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call):
                    yield node


def names(argument: ast.expr) -> list[str]:
    """Read the names that an argument stands for."""
    text = ast.unparse(argument).removeprefix("f").strip("'\"")
    return EXPANSIONS.get(text, [text])


def test_it_lists_every_periodic_task() -> None:
    worker = assemble(
        Ledger(Redis()),
        name="worker",
        accounts={},
        shares={},
        retry_policy=RetryPolicy(),
        outage_after_failures=10,
        concurrency=1,
        recipients=[Recipient(1, "JSON", "json://localhost")],
    )
    in_code = {task.name: f"{task.every_s:g} s" for task in worker.tasks}
    in_code["heartbeat"] = f"{runner._BEAT_EVERY_S:g} s"  # noqa: SLF001 - it has no other name
    in_code["alone"] = f"{runner._ALONE_EVERY_S:g} s"  # noqa: SLF001 - as above
    listed = {words(name)[0]: every for name, every, _ in table(OPERATIONS, "## Periodic tasks")}
    assert listed == in_code


def test_it_tells_how_long_a_stop_and_a_lease_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    gunicorn = runpy.run_path(str(ROOT / "deploy" / "gunicorn.conf.py"))
    assert f"settles what is under way for {runner._DRAIN_S:g} s at most" in TEXT  # noqa: SLF001 - as above
    assert f"finishes running requests for {gunicorn['graceful_timeout']} s at most" in TEXT
    assert f"gunicorn has {gunicorn['workers'] * gunicorn['threads']} threads" in TEXT
    every_s = tasks._RENEW_EVERY_S  # noqa: SLF001 - as above
    assert f"A lease lasts {LEASE_S} s and is renewed every {every_s:g} s" in TEXT


def test_the_runbook_tells_when_an_event_is_logged() -> None:
    runbook = RUNBOOK.read_text()
    assert f"none of the last {policy.SUSPICIOUS_UNKNOWN} orders" in runbook
    assert f"{policy.MAX_UNKNOWN_WAITING:,} pushes from unverified sources wait" in runbook
    assert f"more than {policy.MAX_UNKNOWN_DEAD:,} dead letters" in runbook
    assert f"lasted longer than {JOB_TIMEOUT_S} s" in runbook
    assert f"at least {resends._MISSES} such pushes did not come" in runbook  # noqa: SLF001 - as above
    assert f"at least {resends._MISSED_SHARE * 100:g} % of the ones" in runbook  # noqa: SLF001 - as above


def test_it_tells_how_status_counts_what_is_at_risk() -> None:
    assert "less than {}, {} and {} hours".format(*at_risk.HOURS) in TEXT
    assert f"the {at_risk.AMOUNTS_READ:,} most urgent orders" in TEXT
    for key in overview.AtRiskView.__annotations__:
        assert f'"{key}"' in TEXT


def test_it_names_every_alarm() -> None:
    for alarm in Alarm:
        assert f"`{alarm}`" in TEXT
        assert f'klarna_ack_alarm{{alarm="{alarm}"}}' in TEXT


def test_it_lists_what_is_counted() -> None:
    counted = {
        name
        for call in calls(*PROGRAM)
        if (ast.unparse(call.func) == "counters.add")
        or (call.args and ast.unparse(call.args[0]) == "keys.COUNTERS" and len(call.args) > 1)
        for name in names(call.args[1])
    } - {"event"}  # what `counters.add` itself hands on
    assert {words(row[0])[0] for row in table(OPERATIONS, COUNTERS)} == counted


COUNTERS = "| `event` | What was counted |"
LEVELS = {"warn": "warning", "exception": "error", "critical": "error"}


def logged() -> set[tuple[str, str]]:
    """Find the events that are logged, each with its level."""
    found = set()
    for call in calls(*PROGRAM):
        if logs := re.fullmatch(
            r"_?(?:log|logger|access)\.(debug|info|warning|error|exception|critical)",
            ast.unparse(call.func),
        ):
            level = LEVELS.get(logs[1], logs[1])
            found |= {(name, level) for name in names(call.args[0])}
    return found


def test_it_lists_every_log_event() -> None:
    rows = table(OPERATIONS, "| Event | Level | Meaning |")
    assert sorted((words(event)[0], level) for event, level, _ in rows) == sorted(logged())
    assert all(meaning.endswith(".") for _, _, meaning in rows)


def test_the_runbook_has_an_entry_for_every_warning_and_error() -> None:
    headings = re.findall(r"^### `([a-z_]+\.[a-z_]+)`$", RUNBOOK.read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(
        name for name, level in logged() if level in {"warning", "error"}
    )


def test_the_runbook_names_no_event_that_nobody_logs() -> None:
    rooms = {name.partition(".")[0] for name, _ in logged()}
    named = re.findall(r"`([a-z_]+\.[a-z_]+)`", RUNBOOK.read_text())
    assert {name for name in named if name.partition(".")[0] in rooms} <= {
        name for name, _ in logged()
    }


def test_each_entry_of_the_runbook_says_what_it_means_what_to_do_and_when_it_is_over() -> None:
    entries = re.split(r"^###? ", RUNBOOK.read_text(), flags=re.MULTILINE)
    of_events = [entry for entry in entries if re.match(r"`[a-z_]+\.[a-z_]+`\n", entry)]
    parts = (r"What happened:", r"For the orders?:", r"Do(?:, for [^*]+)?:", r"Over when:")
    assert of_events
    assert [
        (entry.splitlines()[0], part)
        for entry in of_events
        for part in parts
        if not re.search(rf"^- \*\*{part}\*\* ", entry, re.MULTILINE)
    ] == []
