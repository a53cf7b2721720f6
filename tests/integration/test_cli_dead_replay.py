from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from devtools.local.embedded import EmbeddedServer
from pushes import life
from pushes.model import PushKey, Reason, State
from pushes.operate import replay
from pushes.read.audit import AuditEntry, AuditResult
from pushes.store.ledger import Ledger
from tests.builders import NOW, put
from tests.integration.test_cli_support import (
    UNKNOWN_ID,
    acted_on,
    after,
    answer,
    at,
    audited,
    counts,
    dead,
    error,
    events,
    everything,
    run,
    take,
    two_accounts,
)


@pytest.fixture
def ledger(redis_client: "Redis") -> Ledger:
    return Ledger(redis_client)


def replay_(redis_url: str, *arguments: str, exit_code: int = 0, **env: str) -> Any:  # noqa: ANN401 - JSON
    command = ("dead", "replay", "--json", "--why", "Klarna is back", *arguments)
    return answer(run(redis_url, *command, **env), exit_code)


def replayed(*keys: PushKey) -> dict[str, object]:
    return {"items": [acted_on(key, "queued") for key in keys], "refused": []}


def test_it_queues_dead_orders_with_fresh_attempts(ledger: Ledger, redis_url: str) -> None:
    first, second = dead(ledger), dead(ledger)
    with at(after(9)):
        answered = replay_(redis_url, first.order_id.upper(), second.order_id, first.order_id)
    assert answered == replayed(first, second)
    assert counts(ledger) == {"queued": 2}
    push = take(ledger, first)
    assert (push.changed_at, push.failures, push.reason, push.attempts) == (after(9), 0, None, 1)


def test_it_notes_who_and_why(ledger: Ledger, redis_url: str) -> None:
    key = dead(ledger)
    replay_(redis_url, key.order_id, "--by", " anna ")
    assert events(ledger, key)[-1] == ("replayed", "was rejected: Klarna is back", "anna")


def test_it_keeps_in_the_audit_who_replayed_how_many_of_which_account(
    ledger: Ledger, redis_url: str
) -> None:
    ids = [dead(ledger).order_id, dead(ledger).order_id]
    replay_(redis_url, *ids, "--by", "anna")
    replay_(redis_url, ids[0], exit_code=1)  # it is queued: nothing is done
    assert audited(ledger.redis) == [
        AuditEntry("anna", "replay", "default", result, "Klarna is back", orders=2)
        for result in (AuditResult.BEGUN, AuditResult.DONE)
    ]


def test_it_notes_the_login_name_unless_told_otherwise(ledger: Ledger, redis_url: str) -> None:
    key = dead(ledger)
    replay_(redis_url, key.order_id)
    assert events(ledger, key)[-1] == ("replayed", "was rejected: Klarna is back", "tester")


def test_it_lists_them_in_aligned_text(ledger: Ledger, redis_url: str) -> None:
    key = dead(ledger)
    result = run(redis_url, "dead", "replay", key.order_id, "--why", "x")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "order_id                              account  result\n"
        f"{key.order_id}  default  queued\n"
        "\n"
        "1 queued.\n"
    )


def test_it_refuses_what_is_not_dead_and_replays_the_rest(ledger: Ledger, redis_url: str) -> None:
    queued, wanted = put(ledger, State.ACKNOWLEDGED).key, dead(ledger)
    refusals = [
        (
            f"{queued.order_id} is acknowledged, not dead: Klarna said 2xx to acknowledge. Nothing"
            " to replay."
        ),
        (
            f"{UNKNOWN_ID}: no push is known for this order in account 'default', so there is"
            f" nothing to replay. Queue it with `klarna-ack push {UNKNOWN_ID} --account default`."
        ),
    ]
    arguments = (queued.order_id, wanted.order_id, UNKNOWN_ID)
    result = run(redis_url, "dead", "replay", *arguments, "--why", "x", "--json")
    assert result.stderr == "Error: 2 of 3 were refused.\n"
    assert answer(result, 1) == {
        "items": [acted_on(wanted, "queued")],
        "refused": [
            {"order_id": queued.order_id, "account": "default", "detail": refusals[0]},
            {"order_id": UNKNOWN_ID, "account": "default", "detail": refusals[1]},
        ],
    }
    assert counts(ledger) == {"queued": 1, "acknowledged": 1}
    in_text = run(redis_url, "dead", "replay", queued.order_id, UNKNOWN_ID, "--why", "x")
    assert (in_text.exit_code, in_text.stdout) == (1, "2 refused.\n")
    assert in_text.stderr == "\n".join([*refusals, "Error: 2 of 2 were refused.\n"])


def test_it_takes_a_discarded_order_back(ledger: Ledger, redis_url: str) -> None:
    key = dead(ledger)
    assert ledger.advance(key, lambda push: life.discarded(push, "anna", "forged", NOW))
    assert replay_(redis_url, key.order_id) == replayed(key)
    assert not take(ledger, key).discarded


def test_it_replays_in_the_account_that_is_named(
    ledger: Ledger, redis_url: str, tmp_path: Path
) -> None:
    key = dead(ledger, account="us")
    two = two_accounts(tmp_path)
    complaint = error(
        run(redis_url, "dead", "replay", key.order_id, "--why", "x", ACCOUNTS_FILE=two), 2
    )
    assert complaint.splitlines()[-1] == (
        "Error: Several accounts are configured: eu, us. Say which one with --account."
    )
    assert replay_(redis_url, key.order_id, "--account", "us", ACCOUNTS_FILE=two) == replayed(key)


@pytest.mark.parametrize("whom", ["--all", UNKNOWN_ID])
def test_it_refuses_an_account_that_nobody_knows(redis_url: str, whom: str) -> None:
    result = run(redis_url, "dead", "replay", whom, "--account", "nobody", "--why", "x")
    assert error(result, 2).splitlines()[-1] == (
        "Error: There is no account 'nobody'. Known: default."
    )


def run_of(answered: Any) -> dict[str, object]:  # noqa: ANN401 - JSON
    """What a run says of how far it is."""
    return {name: answered[name] for name in ("action", "state", "total")} | {
        name: answered["results"][name] for name in ("acted", "skipped")
    }


def gone_through(count: int) -> dict[str, object]:
    counted = {"total": count, "acted": count, "skipped": 0}
    return {"action": "replay", "state": "finishing", **counted}


def test_it_replays_all_of_every_account(ledger: Ledger, redis_url: str, tmp_path: Path) -> None:
    keys = [
        dead(ledger, now=after(minutes), account=account, reason=reason)
        for minutes, account, reason in [
            (0, "us", Reason.REJECTED),
            (1, "eu", Reason.REJECTED),
            (2, "eu", Reason.CRASH_LOOP),
            (3, "gone", Reason.REJECTED),
            (4, "us", Reason.UNREADABLE),
        ]
    ]
    acknowledged = put(ledger, State.ACKNOWLEDGED).key
    answered = replay_(redis_url, "--all", ACCOUNTS_FILE=two_accounts(tmp_path))
    assert run_of(answered) == gone_through(len(keys))
    assert counts(ledger) == {"queued": 5, "acknowledged": 1}
    assert take(ledger, acknowledged).state is State.ACKNOWLEDGED


def test_it_replays_what_the_filters_match(ledger: Ledger, redis_url: str, tmp_path: Path) -> None:
    wanted = dead(ledger, account="us", reason=Reason.RETRIES_EXHAUSTED, now=after(5))
    dead(ledger, account="us", reason=Reason.RETRIES_EXHAUSTED, now=after(4))
    dead(ledger, account="us", reason=Reason.RETRIES_EXHAUSTED, now=after(6))
    dead(ledger, account="eu", reason=Reason.RETRIES_EXHAUSTED, now=after(5))
    dead(ledger, account="us", reason=Reason.REJECTED, now=after(5))
    filters = (
        *("--account", "us", "--reason", "retries_exhausted"),
        *("--since", "2026-03-01T12:05:00Z", "--until", "2026-03-01T12:06:00Z"),
    )
    answered = replay_(redis_url, "--all", *filters, ACCOUNTS_FILE=two_accounts(tmp_path))
    assert run_of(answered) == gone_through(1)
    assert take(ledger, wanted).state is State.QUEUED
    assert counts(ledger) == {"queued": 1, "dead": 4}


def test_it_replays_so_many_at_most_the_longest_dead_first(ledger: Ledger, redis_url: str) -> None:
    keys = [dead(ledger, now=after(minutes)) for minutes in range(6)]
    assert run_of(replay_(redis_url, "--all", "--limit", "3")) == gone_through(3)
    assert [take(ledger, key).state for key in keys[:3]] == [State.QUEUED] * 3
    assert counts(ledger) == {"queued": 3, "dead": 3}


def test_it_is_done_when_nothing_is_dead(ledger: Ledger, redis_url: str) -> None:
    put(ledger, State.QUEUED)
    assert run_of(replay_(redis_url, "--all")) == gone_through(0)
    result = run(redis_url, "dead", "replay", "--all", "--why", "x")
    assert (result.exit_code, result.stdout) == (0, "No dead letters match.\n")


def after_each(monkeypatch: pytest.MonkeyPatch, happening: Callable[[PushKey], object]) -> None:
    """Let something happen right after each replay."""
    really = replay.replay

    def watched(ledger: Ledger, key: PushKey, **word: Any) -> object:  # noqa: ANN401 - as `replay`
        push = really(ledger, key, **word)
        happening(key)
        return push

    monkeypatch.setattr(replay, "replay", watched)


def test_it_lists_what_would_be_replayed_and_changes_nothing(
    ledger: Ledger, redis_client: "Redis", redis_url: str
) -> None:
    first, second = dead(ledger), dead(ledger, now=after(1))
    before = everything(redis_client)
    assert replay_(redis_url, "--all", "--dry-run", "--rate", "0.001") == {
        "items": [acted_on(first, "dead"), acted_on(second, "dead")],
        "refused": [],
    }
    result = run(redis_url, "dead", "replay", "--all", "--dry-run", "--why", "x")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "order_id                              account  result\n"
        f"{first.order_id}  default  dead\n"
        f"{second.order_id}  default  dead\n"
        "\n"
        "2 would be replayed; nothing was changed.\n"
    )
    assert everything(redis_client) == before


def test_it_says_in_a_dry_run_what_would_be_refused(
    ledger: Ledger, redis_client: "Redis", redis_url: str
) -> None:
    wanted, queued = dead(ledger), put(ledger, State.QUEUED).key
    before = everything(redis_client)
    ids = (wanted.order_id, queued.order_id)
    rehearsed = replay_(redis_url, *ids, "--dry-run", exit_code=1)
    assert everything(redis_client) == before
    done = replay_(redis_url, *ids, exit_code=1)
    assert rehearsed == {"items": [acted_on(wanted, "dead")], "refused": done["refused"]}
    assert done["refused"] == [
        {
            "order_id": queued.order_id,
            "account": "default",
            "detail": f"{queued.order_id} is queued, not dead: Waiting for a worker. Nothing to"
            " replay.",
        }
    ]


@pytest.mark.parametrize("how", [("--all",), (UNKNOWN_ID,), ("--all", "--dry-run")])
def test_it_changes_nothing_when_redis_is_away(
    redis_url: str, valkey: EmbeddedServer, how: tuple[str, ...]
) -> None:
    valkey.kill()
    complaint = error(run(redis_url, "dead", "replay", *how, "--why", "x", "--json"), 1)
    assert "): nothing was changed, and accepted pushes are safe in Redis." in complaint


def test_it_says_how_far_it_came_when_redis_goes_away(
    ledger: Ledger, redis_url: str, valkey: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = dead(ledger), dead(ledger, now=after(1))
    after_each(monkeypatch, lambda _: valkey.kill())
    ids = (first.order_id, second.order_id)
    result = run(redis_url, "dead", "replay", *ids, "--why", "x", "--json")
    assert answer(result, 1) == replayed(first)
    assert result.stderr.startswith("Error: Redis does not answer (ConnectionError: ")
    assert result.stderr.endswith(
        f"): whether {second.order_id} was replayed is not known. Accepted pushes are safe in"
        " Redis. Bring Redis back, or correct REDIS_URL. Then run the same command again: what was"
        " replayed is not replayed twice. So far 1 of 2 were replayed.\n"
    )
