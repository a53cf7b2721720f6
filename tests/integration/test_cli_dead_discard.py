from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from devtools.local.embedded import EmbeddedServer
from pushes.model import Reason, State
from pushes.read import dead_letters
from pushes.read.audit import AuditEntry
from pushes.read.dead_letters import Filter
from pushes.store.ledger import Ledger
from tests.builders import put
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


def discard(redis_url: str, *arguments: str, exit_code: int = 0, **env: str) -> Any:  # noqa: ANN401 - JSON
    command = ("dead", "discard", "--json", "--why", "forged", *arguments)
    return answer(run(redis_url, *command, **env), exit_code)


def test_it_puts_dead_orders_away(ledger: Ledger, redis_url: str) -> None:
    first, second, kept = dead(ledger), dead(ledger), dead(ledger)
    with at(after(9)):
        answered = discard(redis_url, first.order_id.upper(), second.order_id, first.order_id)
    assert answered == {
        "items": [acted_on(first, "dead", "discarded"), acted_on(second, "dead", "discarded")],
        "refused": [],
    }
    assert [push.key for push in dead_letters.page(ledger.redis, Filter()).items] == [kept]
    push = take(ledger, first)
    assert (push.state, push.discarded, push.changed_at) == (State.DEAD, True, after(9))
    assert counts(ledger) == {"dead": 1}


def test_it_notes_who_and_why(ledger: Ledger, redis_url: str) -> None:
    first, second = dead(ledger), dead(ledger)
    discard(redis_url, first.order_id)
    discard(redis_url, second.order_id, "--by", "anna")
    assert events(ledger, first)[-1] == ("discarded", "forged", "tester")
    assert events(ledger, second)[-1] == ("discarded", "forged", "anna")


def test_it_lists_them_in_aligned_text(ledger: Ledger, redis_url: str) -> None:
    key = dead(ledger)
    result = run(redis_url, "dead", "discard", key.order_id, "--why", "forged")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "order_id                              account  result\n"
        f"{key.order_id}  default  discarded\n"
        "\n"
        "1 discarded.\n"
    )
    assert audited(ledger.redis) == [
        AuditEntry("tester", "discard", "default", why="forged", orders=1, order_id=key.order_id)
    ]


def test_it_refuses_what_is_not_dead_and_discards_the_rest(ledger: Ledger, redis_url: str) -> None:
    waiting, done, wanted = put(ledger, State.QUEUED).key, dead(ledger), dead(ledger)
    discard(redis_url, done.order_id)
    ids = (waiting.order_id, done.order_id, wanted.order_id, UNKNOWN_ID)
    result = run(redis_url, "dead", "discard", *ids, "--why", "forged", "--json")
    assert result.stderr == "Error: 3 of 4 were refused.\n"
    refusals = {
        waiting.order_id: f"{waiting.order_id} is queued, not dead: Waiting for a worker. Nothing"
        " to discard.",
        done.order_id: f"{done.order_id} is discarded already. Replay it to take that back.",
        UNKNOWN_ID: f"{UNKNOWN_ID}: no push is known for this order in account 'default', so there"
        f" is nothing to discard. Queue it with `klarna-ack push {UNKNOWN_ID} --account default`.",
    }
    assert answer(result, 1) == {
        "items": [acted_on(wanted, "dead", "discarded")],
        "refused": [
            {"order_id": order_id, "account": "default", "detail": detail}
            for order_id, detail in refusals.items()
        ],
    }
    assert counts(ledger) == {"queued": 1}
    in_text = run(redis_url, "dead", "discard", done.order_id, "--why", "forged")
    assert (in_text.exit_code, in_text.stdout) == (1, "1 refused.\n")
    assert in_text.stderr == f"{refusals[done.order_id]}\nError: 1 of 1 were refused.\n"


def test_it_discards_all_that_the_filters_match(ledger: Ledger, redis_url: str) -> None:
    forged = [dead(ledger, reason=Reason.NO_SUCH_ORDER) for _ in range(3)]
    kept = dead(ledger, reason=Reason.REJECTED)
    filters = ("--all", "--reason", "no_such_order")
    before = everything(ledger.redis)
    tried = discard(redis_url, *filters, "--dry-run")
    assert tried == {"items": [acted_on(key, "dead") for key in forged], "refused": []}
    assert everything(ledger.redis) == before
    result = run(redis_url, "dead", "discard", *filters, "--limit", "2", "--why", "forged")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "state   done: It is over.\norders  2 of 2 discarded\n" in result.stdout
    answered = discard(redis_url, *filters)
    assert (answered["state"], answered["total"], answered["results"]["acted"]) == ("done", 1, 1)
    assert counts(ledger) == {"dead": 1}
    assert not take(ledger, kept).discarded


def test_it_discards_in_the_account_that_is_named(
    ledger: Ledger, redis_url: str, tmp_path: Path
) -> None:
    key = dead(ledger, account="gone")
    two = two_accounts(tmp_path)
    answered = discard(redis_url, key.order_id, "--account", "gone", ACCOUNTS_FILE=two)
    assert answered == {"items": [acted_on(key, "dead", "discarded")], "refused": []}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "Several accounts are configured: eu, us. Say which one with --account."),
        (("--account", "nobody"), "There is no account 'nobody'. Known: eu, us."),
    ],
)
def test_it_refuses_an_account_it_cannot_tell(
    redis_url: str, tmp_path: Path, options: tuple[str, ...], complaint: str
) -> None:
    arguments = ("dead", "discard", UNKNOWN_ID, "--why", "forged", *options)
    result = run(redis_url, *arguments, ACCOUNTS_FILE=two_accounts(tmp_path))
    assert error(result, 2).splitlines()[-1] == f"Error: {complaint}"


def test_it_changes_nothing_when_redis_is_away(redis_url: str, valkey: EmbeddedServer) -> None:
    valkey.kill()
    complaint = error(run(redis_url, "dead", "discard", UNKNOWN_ID, "--why", "x", "--json"), 1)
    assert "): nothing was changed, and accepted pushes are safe in Redis." in complaint
