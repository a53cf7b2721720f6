from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from pushes.model import PushKey, State
from pushes.read.search import find, listing
from pushes.store import keys
from pushes.store.ledger import Ledger
from tests.builders import a_key, put
from tests.integration.test_cli_support import (
    NOW_TEXT,
    after,
    answer,
    at,
    error,
    everything,
    run,
    two_accounts,
)


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def listed(redis_url: str, state: State, *options: str, **env: str) -> Any:  # noqa: ANN401 - JSON
    return answer(run(redis_url, "list", "--state", str(state), "--json", *options, **env))


def ids(shown: Any) -> list[str]:  # noqa: ANN401 - JSON
    return [item["order_id"] for item in shown["items"]]


def order_ids(*pushed: PushKey) -> list[str]:
    return [key.order_id for key in pushed]


def test_it_shows_what_is_in_a_state(ledger: Ledger, redis_url: str) -> None:
    key = put(ledger, State.RETRYING).key
    for state in State:
        if state is not State.RETRYING:
            put(ledger, state)
    with at():
        shown = listed(redis_url, State.RETRYING)
    assert shown == {
        "items": [
            {
                "order_id": key.order_id,
                "account": "default",
                "state": "retrying",
                "reason": None,
                "since": NOW_TEXT,
                "first_push_at": NOW_TEXT,
                "deadline_at": "2026-03-03T12:00:00.000Z",
                "next_attempt_at": "2026-03-01T12:00:05.000Z",
                "overdue": False,
                "attempts": 1,
                "pushes": 1,
                "last_error": "HTTP 500",
                "error_code": None,
                "correlation_id": None,
                "order_amount": None,
                "purchase_currency": None,
            }
        ],
        "next_cursor": None,
    }


def test_it_is_aligned_text_when_piped(ledger: Ledger, redis_url: str) -> None:
    key = put(ledger, State.HELD).key
    assert run(redis_url, "list", "--state", "held").stdout == (
        "order_id                              account  reason       since                   "
        "  deadline_at               last_error\n"
        f"{key.order_id}  default  credentials  2026-03-01T12:00:00.000Z"
        "  2026-03-03T12:00:00.000Z  HTTP 401\n"
    )
    assert run(redis_url, "list", "--state", "dead").stdout == "No push is dead.\n"


@pytest.mark.parametrize("state", State)
def test_it_lists_each_state_a_page_at_a_time(ledger: Ledger, redis_url: str, state: State) -> None:
    pushed = [put(ledger, state, now=after(minutes)).key for minutes in range(5)]
    wanted = order_ids(*(reversed(pushed) if state.is_settled else pushed))
    seen, more = [], ["--limit", "2"]
    while True:
        page = listed(redis_url, state, *more)
        assert len(page["items"]) <= 2
        seen += ids(page)
        if page["next_cursor"] is None:
            break
        more = ["--limit", "2", "--cursor", page["next_cursor"]]
    assert seen == wanted


@pytest.mark.parametrize("state", State)
def test_it_lists_those_of_one_account_past_all_others(
    ledger: Ledger, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    monkeypatch.setattr(listing, "_CHUNK", 3)
    wanted = []
    for minutes in range(8):
        put(ledger, state, a_key("eu"), after(minutes))
        if minutes % 4 == 0:
            wanted.append(put(ledger, state, a_key("us"), after(minutes)).key)
    two = two_accounts(tmp_path)
    shown = listed(redis_url, state, "--account", "us", ACCOUNTS_FILE=two)
    assert ids(shown) == order_ids(*(reversed(wanted) if state.is_settled else wanted))
    assert len(ids(listed(redis_url, state, ACCOUNTS_FILE=two))) == 10


def test_it_walks_no_index_to_its_end(
    ledger: Ledger, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one account's orders among many others a page may show none, and where to go on."""
    monkeypatch.setattr(listing, "_CHUNK", 3)
    monkeypatch.setattr(listing, "READ_AT_MOST", 6)
    monkeypatch.setattr(find, "_RECORDS_A_PAGE", 6)
    for minutes in range(10):
        put(ledger, State.QUEUED, a_key("eu"), after(minutes))
    last = put(ledger, State.QUEUED, a_key("us"), after(20)).key
    options = ("--account", "us", "--limit", "2")
    env = {"ACCOUNTS_FILE": two_accounts(tmp_path)}
    first = page = listed(redis_url, State.QUEUED, *options, **env)
    shown = [ids(first)]
    while page["next_cursor"]:
        more = ("--cursor", page["next_cursor"])
        page = listed(redis_url, State.QUEUED, *options, *more, **env)
        shown.append(ids(page))
    assert shown == [[], order_ids(last)] or shown == [[], [], order_ids(last)]
    text = run(redis_url, "list", "--state", "queued", *options, **env).stdout
    assert text == f"None so far.\n\nThere are more: --cursor {first['next_cursor']}\n"


def test_it_says_how_many_there_are(ledger: Ledger, redis_url: str) -> None:
    for minutes in range(3):
        put(ledger, State.HELD, now=after(minutes))
    for options in ([], ["--account", "default"]):
        text = run(redis_url, "list", "--state", "held", "--limit", "1", *options).stdout
        assert "There are more (3 in all): --cursor held~" in text


def test_it_leaves_out_what_has_left_the_state(ledger: Ledger, redis_url: str) -> None:
    there, gone = put(ledger, State.QUEUED).key, put(ledger, State.ACKNOWLEDGED).key
    ledger.redis.zadd(keys.index(State.QUEUED), {keys.job_id(gone): 1})
    ledger.redis.zadd(keys.index(State.QUEUED), {b"\xff": 2})
    assert ids(listed(redis_url, State.QUEUED)) == order_ids(there)


@pytest.mark.parametrize("cursor", ["x", "1:2", "soon:default_x"])
def test_it_refuses_a_cursor_that_no_page_gave(redis_url: str, cursor: str) -> None:
    complaint = error(run(redis_url, "list", "--state", "dead", "--cursor", cursor, "--json"), 2)
    assert complaint.splitlines()[-1] == (
        f"Error: cursor '{cursor}': use the next_cursor of the page before, unchanged"
    )


def test_it_refuses_an_account_that_nobody_knows(redis_url: str) -> None:
    complaint = error(run(redis_url, "list", "--state", "dead", "--account", "nobody"), 2)
    assert complaint.splitlines()[-1] == "Error: There is no account 'nobody'. Known: default."


def test_it_writes_nothing(ledger: Ledger, redis_url: str) -> None:
    put(ledger, State.QUEUED)
    before = everything(ledger.redis)
    assert run(redis_url, "list", "--state", "queued").exit_code == 0
    assert everything(ledger.redis) == before
