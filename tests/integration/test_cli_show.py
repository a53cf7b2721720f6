import re
from pathlib import Path

import pytest
from redis import Redis

from pushes import life
from pushes.log import trace
from pushes.model import Change, Entry, OrderSnapshot, Push, PushKey, Reason, State
from pushes.store.ledger import Ledger
from tests.builders import a_key, a_push, put
from tests.integration.test_cli_support import (
    NOW_TEXT,
    UNKNOWN_ID,
    after,
    answer,
    at,
    error,
    everything,
    run,
    two_accounts,
)


@pytest.fixture
def ledger(redis_client: "Redis") -> Ledger:
    return Ledger(redis_client)


@pytest.fixture
def rejected(ledger: Ledger) -> PushKey:
    """A push that Klarna showed and then would not let us acknowledge."""
    key = a_key()
    running = put(ledger, State.RUNNING, key)
    order = OrderSnapshot(status="AUTHORIZED", order_amount=6000, purchase_currency="SEK")
    calls = (
        Entry(after(0), "called", "get_order", 200, 41, None, "c-1"),
        Entry(after(0), "called", "acknowledge", 400, 17, "BAD_VALUE", "c-2"),
    )
    change = life.dead(running, Reason.REJECTED, after(1), "HTTP 400 BAD_VALUE")
    assert ledger.commit_many([life.reported(change, calls, order, after(0))]) == [True]
    return key


def test_it_shows_everything_about_an_order(rejected: PushKey, redis_url: str) -> None:
    nothing = dict.fromkeys(
        ("call", "http_status", "ms", "error_code", "correlation_id", "detail", "by")
    )
    called = {**nothing, "at": NOW_TEXT, "event": "called"}
    with at():
        shown = answer(run(redis_url, "show", rejected.order_id.upper(), "--json"))
    push = a_push(key=rejected)
    assert shown == {
        "order_id": rejected.order_id,
        "account": "default",
        "state": "dead",
        "reason": "rejected",
        "attempts": 1,
        "pushes": 1,
        "first_push_at": NOW_TEXT,
        "last_push_at": NOW_TEXT,
        "next_attempt_at": None,
        "deadline_at": "2026-03-03T12:00:00.000Z",
        "overdue": False,
        "verified_at": NOW_TEXT,
        "handed_over_at": None,
        "decision_handed_over_at": None,
        "references_set_at": None,
        "acknowledged_at": None,
        "crashes": 0,
        "last_error": "HTTP 400 BAD_VALUE",
        "error_code": "BAD_VALUE",
        "correlation_id": "c-2",
        "trace_id": trace.trace_id(push),
        "traceparent": trace.header(push),
        "discarded": False,
        "fraud_event": None,
        "next_step": Reason.REJECTED.next_step,
        "order": {
            "status": "AUTHORIZED",
            "fraud_status": None,
            "order_amount": 6000,
            "captured_amount": None,
            "refunded_amount": None,
            "remaining_authorized_amount": None,
            "purchase_currency": "SEK",
            "expires_at": None,
            "klarna_reference": None,
            "merchant_reference1": None,
            "merchant_reference2": None,
        },
        "timeline": [
            {**nothing, "at": NOW_TEXT, "event": "pushed"},
            {
                **called,
                "call": "get_order",
                "http_status": 200,
                "ms": 41,
                "correlation_id": "c-1",
            },
            {
                **called,
                "call": "acknowledge",
                "http_status": 400,
                "ms": 17,
                "error_code": "BAD_VALUE",
                "correlation_id": "c-2",
            },
            {
                **nothing,
                "at": "2026-03-01T12:01:00.000Z",
                "event": "dead",
                "detail": "rejected: HTTP 400 BAD_VALUE",
            },
        ],
        "kept_aside": {},
    }


def test_it_lays_an_order_out_in_aligned_text(rejected: PushKey, redis_url: str) -> None:
    with at():
        result = run(redis_url, "show", rejected.order_id)
    push = a_push(key=rejected)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        f"Order {rejected.order_id}\n"
        "account     default\n"
        "state       dead: An operator decides.\n"
        "reason      rejected\n"
        f"next step   {Reason.REJECTED.next_step}\n"
        "last error  HTTP 400 BAD_VALUE\n"
        "verified    2026-03-01T12:00:00.000Z\n"
        "first push  2026-03-01T12:00:00.000Z\n"
        "last push   2026-03-01T12:00:00.000Z\n"
        "deadline    2026-03-03T12:00:00.000Z\n"
        "pushes      1\n"
        "attempts    1\n"
        f"trace id    {trace.trace_id(push)}\n"
        "\n"
        "At Klarna, when last seen (amounts in minor units)\n"
        "status             AUTHORIZED\n"
        "order_amount       6000\n"
        "purchase_currency  SEK\n"
        "\n"
        "at                        event   call         answer                  correlation_id"
        "  detail\n"
        "2026-03-01T12:00:00.000Z  pushed  -            -                       -             "
        "  -\n"
        "2026-03-01T12:00:00.000Z  called  get_order    200 in 41 ms            c-1           "
        "  -\n"
        "2026-03-01T12:00:00.000Z  called  acknowledge  400 BAD_VALUE in 17 ms  c-2           "
        "  -\n"
        "2026-03-01T12:01:00.000Z  dead    -            -                       -             "
        "  rejected\n"
    )


def test_it_says_who_discarded_an_order_and_leaves_out_what_is_not_known(
    ledger: Ledger, redis_url: str
) -> None:
    key = put(ledger, State.DEAD).key
    assert ledger.advance(key, lambda push: life.discarded(push, "anna", "forged", after(2)))
    with at(after(72 * 60)):  # discarded orders are not late
        shown = run(redis_url, "show", key.order_id).stdout
    assert shown == (
        f"Order {key.order_id}\n"
        "account     default\n"
        "state       dead: Discarded by an operator: later pushes are counted, and do not revive"
        " it.\n"
        "reason      no_such_order\n"
        "next step   Nothing: an operator discarded it. To take that back, replay it.\n"
        "last error  HTTP 404\n"
        "first push  2026-03-01T12:00:00.000Z\n"
        "last push   2026-03-01T12:00:00.000Z\n"
        "deadline    2026-03-03T12:00:00.000Z\n"
        "pushes      1\n"
        "attempts    1\n"
        f"trace id    {trace.trace_id(a_push(key=key))}\n"
        "\n"
        "at                        event      detail\n"
        "2026-03-01T12:00:00.000Z  pushed     -\n"
        "2026-03-01T12:00:00.000Z  dead       no_such_order\n"
        "2026-03-01T12:02:00.000Z  discarded  by anna: forged\n"
    )


def test_it_says_when_an_order_is_overdue(ledger: Ledger, redis_url: str) -> None:
    key = put(ledger, State.RETRYING).key
    with at(after(48 * 60)):
        shown = run(redis_url, "show", key.order_id).stdout
        assert answer(run(redis_url, "show", key.order_id, "--json"))["overdue"]
    line = "deadline      2026-03-03T12:00:00.000Z: passed, and the order is not acknowledged\n"
    assert line in shown


@pytest.mark.parametrize("state", list(State))
def test_it_shows_a_push_in_any_state_and_writes_nothing(
    ledger: Ledger, redis_client: "Redis", redis_url: str, state: State
) -> None:
    key = put(ledger, state).key
    before = everything(redis_client)
    assert answer(run(redis_url, "show", key.order_id, "--json"))["state"] == state
    text = run(redis_url, "show", key.order_id).stdout
    assert re.search(rf"^state +{state}: {re.escape(state.sentence)}$", text, re.MULTILINE)
    assert everything(redis_client) == before


def test_it_says_what_to_do_about_an_order_it_does_not_know(redis_url: str) -> None:
    assert error(run(redis_url, "show", UNKNOWN_ID, "--json"), 1) == (
        f"Error: No push is known for order {UNKNOWN_ID} in account 'default': it was never pushed"
        " here, or was settled more than 30 days ago. Check the id and the account, or queue it"
        f" with `klarna-ack push {UNKNOWN_ID} --account default`.\n"
    )


def test_it_looks_in_the_account_that_is_named(
    ledger: Ledger, redis_url: str, tmp_path: Path
) -> None:
    key = put(ledger, State.QUEUED, a_key("us")).key
    put(ledger, State.DEAD, PushKey("eu", key.order_id))
    two = two_accounts(tmp_path)
    arguments = ("show", key.order_id, "--json", "--account", "us")
    assert answer(run(redis_url, *arguments, ACCOUNTS_FILE=two))["state"] == "queued"


def test_it_takes_an_account_that_only_the_ledger_knows(ledger: Ledger, redis_url: str) -> None:
    key = put(ledger, State.DEAD, a_key("closed-shop")).key
    arguments = ("show", key.order_id, "--json", "--account", "closed-shop")
    assert answer(run(redis_url, *arguments))["account"] == "closed-shop"


def test_it_finds_the_account_by_itself(ledger: Ledger, redis_url: str, tmp_path: Path) -> None:
    two = two_accounts(tmp_path)
    us = put(ledger, State.QUEUED, a_key("us")).key
    gone = put(ledger, State.DEAD, a_key("closed-shop")).key
    for key in (us, gone):
        shown = answer(run(redis_url, "show", key.order_id, "--json", ACCOUNTS_FILE=two))
        assert (shown["order_id"], shown["account"]) == (key.order_id, key.account)


def test_it_asks_which_account_is_meant_when_several_know_the_order(
    ledger: Ledger, redis_url: str, tmp_path: Path
) -> None:
    key = put(ledger, State.QUEUED, a_key("us")).key
    put(ledger, State.QUEUED, PushKey("eu", key.order_id))
    result = run(redis_url, "show", key.order_id, ACCOUNTS_FILE=two_accounts(tmp_path))
    assert error(result, 2).splitlines()[-1] == (
        "Error: Several accounts know this order: eu, us. Say which one with --account."
    )


def test_it_says_where_it_has_looked(redis_url: str, tmp_path: Path) -> None:
    result = run(redis_url, "show", UNKNOWN_ID, ACCOUNTS_FILE=two_accounts(tmp_path))
    assert error(result, 1) == (
        f"Error: No push is known for order {UNKNOWN_ID} in accounts eu, us: it was never pushed"
        " here, or was settled more than 30 days ago. Check the id and the account, or queue it"
        f" with `klarna-ack push {UNKNOWN_ID} --account NAME`.\n"
    )


def test_it_tells_each_error_once(ledger: Ledger, redis_url: str) -> None:
    key = put(ledger, State.RUNNING).key
    for status, error_ in ((503, "HTTP 503"), (503, "HTTP 503"), (400, "HTTP 400 BAD_VALUE wrong")):
        call = Entry(after(0), "call", "get_order", status, 41, None, "c-1", error_[5:])

        def fail(push: Push, call: Entry = call, error_: str = error_) -> Change:
            change = life.retrying(push, after(5), after(0), error=error_, failed=True)
            return life.reported(change, (call,), None, after(0))

        assert ledger.advance(key, fail)
        assert ledger.advance(key, lambda push: life.started(push, "worker-1", "b" * 32, after(5)))
    shown = run(redis_url, "show", key.order_id).stdout
    assert (shown.count("HTTP 503"), shown.count("BAD_VALUE wrong")) == (1, 1)


def test_it_refuses_an_account_that_nobody_knows(ledger: Ledger, redis_url: str) -> None:
    key = put(ledger, State.QUEUED, a_key("us")).key
    result = run(redis_url, "show", key.order_id, "--account", "EU!")
    assert error(result, 2).splitlines()[-1] == (
        "Error: There is no account 'EU!'. Known: default, us."
    )
