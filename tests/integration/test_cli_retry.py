from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from pushes import life
from pushes.model import HoldReason, PushKey, State
from pushes.read.audit import AuditEntry
from pushes.store.ledger import Ledger
from tests.builders import a_key, put
from tests.integration.test_cli_support import (
    UNKNOWN_ID,
    acted_on,
    after,
    answer,
    at,
    audited,
    counts,
    events,
    run,
    take,
    two_accounts,
)


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def retry(redis_url: str, *arguments: str, exit_code: int = 0, **env: str) -> Any:  # noqa: ANN401 - JSON
    command = ("retry", "--json", "--why", "Klarna is back", *arguments)
    return answer(run(redis_url, *command, **env), exit_code)


def retried(*keys: PushKey) -> dict[str, object]:
    return {"items": [acted_on(key, "queued") for key in keys], "refused": []}


def test_it_tries_at_once_what_waits_for_a_time(ledger: Ledger, redis_url: str) -> None:
    first, second = put(ledger, State.RETRYING).key, put(ledger, State.RETRYING).key
    with at(after(9)):
        assert retry(redis_url, first.order_id.upper(), second.order_id) == retried(first, second)
    push = take(ledger, first)
    assert (push.state, push.changed_at, push.next_attempt_at) == (State.QUEUED, after(9), None)
    assert push.failures == 0
    assert events(ledger, first)[-1] == ("retried", "Klarna is back", "tester")
    assert ledger.rq.queue.get_job_ids() == [f"default_{key.order_id}" for key in (first, second)]


def test_it_says_what_helps_in_every_other_state(ledger: Ledger, redis_url: str) -> None:
    found = {
        state: put(ledger, state).key.order_id for state in State if state is not State.RETRYING
    }
    before = counts(ledger)
    answered = retry(redis_url, *found.values(), UNKNOWN_ID, exit_code=1)
    tried = "not retrying: it is being tried without that."
    assert {refusal["order_id"]: refusal["detail"] for refusal in answered["refused"]} == {
        found[State.QUEUED]: f"{found[State.QUEUED]} is queued, {tried}",
        found[State.RUNNING]: f"{found[State.RUNNING]} is running, {tried}",
        found[State.HELD]: f"{found[State.HELD]} is held, not retrying: its account is held"
        " (credentials) and tries again by itself. `klarna-ack resume default` does not wait for"
        " that.",
        found[State.ACKNOWLEDGED]: f"{found[State.ACKNOWLEDGED]} is acknowledged, not retrying:"
        " Klarna said 2xx to acknowledge. Nothing to retry.",
        found[State.NOT_NEEDED]: f"{found[State.NOT_NEEDED]} is not_needed, not retrying: The order"
        " is cancelled, expired or closed: nothing to acknowledge. Nothing to retry.",
        found[State.DEAD]: f"{found[State.DEAD]} is dead, not retrying: `klarna-ack dead replay"
        f" {found[State.DEAD]} --account default` tries again.",
        UNKNOWN_ID: f"{UNKNOWN_ID}: no push is known for this order in account 'default', so there"
        f" is nothing to retry. Queue it with `klarna-ack push {UNKNOWN_ID} --account default`.",
    }
    assert counts(ledger) == before


def test_it_says_how_to_end_a_pause(ledger: Ledger, redis_url: str) -> None:
    key = a_key()
    put(ledger, State.RUNNING, key)
    assert ledger.advance(key, lambda push: life.held(push, HoldReason.OPERATOR, after(0), "x"))
    answered = retry(redis_url, key.order_id, exit_code=1)
    (refusal,) = answered["refused"]
    assert refusal["detail"] == (
        f"{key.order_id} is held, not retrying: its account was paused. `klarna-ack resume default`"
        " serves it again."
    )


def test_it_keeps_in_the_audit_who_retried_which_order(ledger: Ledger, redis_url: str) -> None:
    key = put(ledger, State.RETRYING).key
    result = run(redis_url, "retry", key.order_id, "--why", "x", "--by", "anna")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith("\n\n1 queued.\n")
    assert audited(ledger.redis) == [
        AuditEntry("anna", "retry", "default", why="x", orders=1, order_id=key.order_id)
    ]


def test_it_retries_in_the_account_that_is_named(
    ledger: Ledger, redis_url: str, tmp_path: Path
) -> None:
    key = put(ledger, State.RETRYING, a_key("us")).key
    two = two_accounts(tmp_path)
    assert retry(redis_url, key.order_id, "--account", "us", ACCOUNTS_FILE=two) == retried(key)
