import re
import time
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from devtools.local.embedded import EmbeddedServer
from pushes.model import PushKey, State
from pushes.operate.runs import executor
from pushes.read import runs
from pushes.read.audit import AuditEntry, AuditResult
from pushes.read.runs import BulkRun, RunState
from pushes.store.ledger import Ledger
from tests.integration.test_cli_support import (
    after,
    answer,
    at,
    audited,
    counts,
    dead,
    error,
    everything,
    run,
    take,
)
from tests.integration.test_runs import DISCARD, LATER, attempt, work
from tests.integration.test_runs import start as start_run


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def letters(ledger: Ledger, count: int) -> list[PushKey]:
    return [dead(ledger, now=after(n)) for n in range(count)]


def shown(redis_url: str, *arguments: str, exit_code: int = 0) -> Any:  # noqa: ANN401 - JSON
    return answer(run(redis_url, "run", *arguments, "--json"), exit_code)


def started(ledger: Ledger) -> BulkRun:
    (found,) = runs.page(ledger.redis).items
    return found


def test_it_starts_a_run_and_says_what_came_of_it(ledger: Ledger, redis_url: str) -> None:
    letters(ledger, 3)
    result = run(redis_url, "dead", "replay", "--all", "--why", "Klarna is back", "--by", "anna")
    found = started(ledger)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        f"Run {found.id}\n"
        "action        replay\n"
        "state         finishing: It has gone through its orders; not all have a result yet.\n"
        "orders        3 of 3 replayed\n"
        "by            anna\n"
        "why           Klarna is back\n"
        "waiting       3\n"
        "acknowledged  0\n"
        "not needed    0\n"
        "dead again    0\n"
    )
    begun = AuditEntry("anna", "replay", None, AuditResult.BEGUN, "Klarna is back", 3)
    assert audited(ledger.redis) == [replace(begun, detail=f"run {found.id}")]


def test_it_keeps_to_the_rate_it_is_told(ledger: Ledger, redis_url: str) -> None:
    letters(ledger, 3)
    begun = time.monotonic()
    answered = answer(
        run(redis_url, "dead", "replay", "--all", "--why", "x", "--rate", "4", "--json")
    )
    assert time.monotonic() - begun > 0.4
    assert (answered["rate_per_s"], answered["results"]["acted"]) == (4, 3)


def test_it_goes_on_after_ctrl_c_and_says_how_to_follow(
    ledger: Ledger, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_PORTION", 1)
    letters(ledger, 2)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.run.following.sleep", interrupt)
    complaint = error(run(redis_url, "dead", "replay", "--all", "--why", "x"), 1)
    found = started(ledger)
    assert complaint == (
        f"Error: Run {found.id} goes on as soon as a worker is alive; 1 of 2 were replayed so far."
        f" To follow it: `klarna-ack run show {found.id} --follow`."
        f' To end it: `klarna-ack run cancel {found.id} --why "…"`.\n'
    )
    assert found.state is RunState.RUNNING
    assert work(ledger, now=found.made_at) == 1  # the lock was given back


def test_it_says_that_the_run_goes_on_when_redis_goes_away(
    ledger: Ledger, redis_url: str, valkey: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_PORTION", 1)
    letters(ledger, 2)
    monkeypatch.setattr("cli.run.following.sleep", lambda _: valkey.kill())
    complaint = error(run(redis_url, "dead", "replay", "--all", "--why", "x"), 1)
    assert complaint.startswith("Error: Redis does not answer (ConnectionError: ")
    assert re.search(r" and run [0-9a-f]{8} goes on when Redis is back\. Bring Redis", complaint)


def test_it_follows_to_the_results(
    ledger: Ledger, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (key,) = letters(ledger, 1)
    found = start_run(ledger)

    def meanwhile(_: float) -> None:
        if take(ledger, key).state is State.QUEUED:
            attempt(ledger, key, State.ACKNOWLEDGED)

    monkeypatch.setattr("cli.run.following.sleep", meanwhile)
    with at(LATER):
        done = shown(redis_url, "show", found.id, "--follow")
    assert (done["state"], done["results"]["acknowledged"]) == ("done", 1)


def test_it_shows_and_lists_runs_and_changes_nothing(ledger: Ledger, redis_url: str) -> None:
    letters(ledger, 2)
    first, second = start_run(ledger, DISCARD), start_run(ledger, now=after(61))
    before = everything(ledger.redis)
    view = shown(redis_url, "show", first.id)
    assert view == {
        "id": first.id,
        "action": "discard",
        "state": "running",
        "by": "ops",
        "why": "forged",
        "started_at": "2026-03-01T13:00:00.000Z",
        "ended_at": None,
        "rate_per_s": None,
        "limit": None,
        "total": 2,
        "filter": {
            **dict.fromkeys(("reason", "account", "code", "since", "accounts")),
            "until": "2026-03-01T13:00:00.001Z",
        },
        "undoes": None,
        "results": {
            "acted": 0,
            "skipped": 0,
            "waiting": 0,
            "acknowledged": 0,
            "not_needed": 0,
            "dead_again": 0,
        },
    }
    page = shown(redis_url, "list", "--limit", "1")
    assert [item["id"] for item in page["items"]] == [second.id]
    rest = shown(redis_url, "list", "--cursor", page["next_cursor"])
    assert (rest["items"], rest["next_cursor"]) == ([view], None)
    assert run(redis_url, "run", "list", "--limit", "1").stdout == (
        "run       action  state    started                   by   orders  done  why\n"
        f"{second.id}  replay  running  2026-03-01T13:01:00.000Z  ops  2       0     mended\n"
        "\n"
        f"There are more: --cursor {page['next_cursor']}\n"
    )
    assert everything(ledger.redis) == before
    assert error(run(redis_url, "run", "show", "x"), 1) == (
        "Error: There is no run 'x'; `klarna-ack run list` names all.\n"
    )
    assert "use the next_cursor" in error(run(redis_url, "run", "list", "--cursor", "x"), 2)


def test_it_says_when_there_was_none(redis_url: str) -> None:
    assert run(redis_url, "run", "list").stdout == "There was no bulk run.\n"


def test_it_steers_a_run(ledger: Ledger, redis_url: str) -> None:
    letters(ledger, 2)
    found = start_run(ledger)
    assert shown(redis_url, "pause", found.id)["state"] == "paused"
    assert run(redis_url, "run", "resume", found.id).exit_code == 0
    complaint = error(run(redis_url, "run", "resume", found.id), 1)
    assert complaint == f"Error: Run {found.id} is running: It goes through its orders.\n"
    assert shown(redis_url, "cancel", found.id, "--why", "enough")["state"] == "cancelled"
    assert work(ledger) == 0
    told = run(redis_url, "run", "show", found.id, "--follow")
    assert (told.exit_code, told.stderr) == (
        1,
        f"Error: Run {found.id} was cancelled: 0 of 2 were reached.\n",
    )


def test_it_takes_a_discard_back(ledger: Ledger, redis_url: str) -> None:
    letters(ledger, 2)
    found = start_run(ledger, DISCARD)
    work(ledger)
    with at(after(90)):
        undone = shown(redis_url, "undo", found.id, "--why", "a mistake")
        assert error(run(redis_url, "run", "undo", undone["id"], "--why", "x"), 1).startswith(
            f"Error: Run {undone['id']} is a restore: only a discard can be undone."
        )
    assert (undone["action"], undone["state"], undone["undoes"]) == ("restore", "done", found.id)
    assert counts(ledger) == {"dead": 2}
