from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from pushes import life
from pushes.model import Change, OrderSnapshot, PushKey, Reason, State
from pushes.read import dead_letters
from pushes.store import records
from pushes.store.ledger import Ledger
from tests.builders import NOW, put
from tests.integration.test_cli_support import (
    NOW_TEXT,
    after,
    answer,
    at,
    dead,
    error,
    everything,
    run,
    two_accounts,
)


@pytest.fixture
def ledger(redis_client: "Redis") -> Ledger:
    return Ledger(redis_client)


def listed(redis_url: str, *options: str, **env: str) -> list[str]:
    found = answer(run(redis_url, "dead", "list", "--json", *options, **env))
    assert found["next_cursor"] is None
    return [item["order_id"] for item in found["items"]]


def ids(*keys: PushKey) -> list[str]:
    return [key.order_id for key in keys]


def test_it_lists_dead_letters_the_longest_dead_first(ledger: Ledger, redis_url: str) -> None:
    late = dead(ledger, now=after(1), account="eu", reason=Reason.NOT_ALLOWED, error="HTTP 403")
    early = dead(ledger)
    put(ledger, State.QUEUED)
    with at(after(48 * 60)):  # the deadline of the first
        listed = answer(run(redis_url, "dead", "list", "--json"))
    assert listed == {
        "items": [
            {
                "order_id": early.order_id,
                "account": "default",
                "reason": "rejected",
                "died_at": NOW_TEXT,
                "first_push_at": NOW_TEXT,
                "deadline_at": "2026-03-03T12:00:00.000Z",
                "overdue": True,
                "attempts": 1,
                "pushes": 1,
                "last_error": "HTTP 400 BAD_VALUE",
                "error_code": None,
                "correlation_id": None,
                "next_step": Reason.REJECTED.next_step,
                "order_amount": None,
                "purchase_currency": None,
            },
            {
                "order_id": late.order_id,
                "account": "eu",
                "reason": "not_allowed",
                "died_at": "2026-03-01T12:01:00.000Z",
                "first_push_at": "2026-03-01T12:01:00.000Z",
                "deadline_at": "2026-03-03T12:01:00.000Z",
                "overdue": False,
                "attempts": 1,
                "pushes": 1,
                "last_error": "HTTP 403",
                "error_code": None,
                "correlation_id": None,
                "next_step": Reason.NOT_ALLOWED.next_step,
                "order_amount": None,
                "purchase_currency": None,
            },
        ],
        "next_cursor": None,
    }


def test_it_lists_them_in_aligned_text(ledger: Ledger, redis_url: str) -> None:
    first, second = dead(ledger), dead(ledger, now=after(1), account="eu")
    header = (
        "order_id                              account  died_at                   reason    "
        "last_error\n"
    )
    lines = [
        f"{first.order_id}  default  2026-03-01T12:00:00.000Z  rejected  HTTP 400 BAD_VALUE\n",
        f"{second.order_id}  eu       2026-03-01T12:01:00.000Z  rejected  HTTP 400 BAD_VALUE\n",
    ]
    assert run(redis_url, "dead", "list").stdout == header + lines[0] + lines[1]
    cursor = f"1772366400.000:default_{first.order_id}"
    assert run(redis_url, "dead", "list", "--limit", "1").stdout == (
        header + lines[0] + f"\nThere are more (2 in all): --cursor {cursor}\n"
    )


def test_it_shows_the_amount_and_the_id_once(ledger: Ledger, redis_url: str) -> None:
    key = dead(ledger)
    order = OrderSnapshot(order_amount=6000, purchase_currency="SEK")
    error = f"HTTP 404 NO_SUCH_ORDER Order {key.order_id} cannot be found."
    ledger.advance(
        key,
        lambda push: Change(push, replace(push, rev=push.rev + 1, order=order, last_error=error)),
    )
    assert run(redis_url, "dead", "list").stdout == (
        "order_id                              account  died_at                   reason   "
        " minor_units  last_error\n"
        f"{key.order_id}  default  2026-03-01T12:00:00.000Z  rejected  6000 SEK     HTTP 404"
        " NO_SUCH_ORDER Order … cannot be found.\n"
    )


def test_it_says_so_when_there_are_none(redis_url: str) -> None:
    assert run(redis_url, "dead", "list").stdout == "No dead letters match.\n"
    assert answer(run(redis_url, "dead", "list", "--json")) == {"items": [], "next_cursor": None}


def test_it_lists_those_of_one_reason(ledger: Ledger, redis_url: str) -> None:
    wanted = dead(ledger, reason=Reason.CRASH_LOOP)
    dead(ledger, reason=Reason.REJECTED)
    assert listed(redis_url, "--reason", "crash_loop") == ids(wanted)


def test_it_lists_those_of_one_account(ledger: Ledger, redis_url: str, tmp_path: Path) -> None:
    wanted, other = dead(ledger, account="us"), dead(ledger, account="eu", now=after(1))
    two = two_accounts(tmp_path)
    assert listed(redis_url, "--account", "us", ACCOUNTS_FILE=two) == ids(wanted)
    assert listed(redis_url, ACCOUNTS_FILE=two) == ids(wanted, other)


def test_it_lists_those_of_an_account_that_only_the_ledger_knows(
    ledger: Ledger, redis_url: str
) -> None:
    wanted = dead(ledger, account="gone")
    dead(ledger)
    assert listed(redis_url, "--account", "gone") == ids(wanted)


def test_it_refuses_an_account_that_nobody_knows(redis_url: str) -> None:
    complaint = error(run(redis_url, "dead", "list", "--account", "nobody"), 2)
    assert complaint.splitlines()[-1] == "Error: There is no account 'nobody'. Known: default."


def test_it_lists_those_of_a_span_of_time(ledger: Ledger, redis_url: str) -> None:
    first, second, third = (dead(ledger, now=after(minutes)) for minutes in (0, 1, 2))
    assert listed(redis_url, "--since", "2026-03-01T12:01") == ids(second, third)
    assert listed(redis_url, "--until", "2026-03-01T13:02:00+01:00") == ids(first, second)
    both = ("--since", "2026-03-01T12:01:00Z", "--until", "2026-03-01T12:02:00Z")
    assert listed(redis_url, *both) == ids(second)


def test_it_counts_ages_back_from_now(ledger: Ledger, redis_url: str) -> None:
    old, young = dead(ledger, now=after(-120)), dead(ledger, now=after(-30))
    with at(NOW):
        assert listed(redis_url, "--since", "90m") == ids(young)
        assert listed(redis_url, "--until", "1h") == ids(old)
        assert listed(redis_url, "--since", "7d", "--until", "0s") == ids(old, young)


def test_it_lists_a_page_at_a_time(ledger: Ledger, redis_url: str) -> None:
    keys = [dead(ledger, now=after(minutes)) for minutes in range(5)]
    seen, cursors, more = [], 0, ["--limit", "2"]
    while True:
        page = answer(run(redis_url, "dead", "list", "--json", *more))
        seen += [item["order_id"] for item in page["items"]]
        assert len(page["items"]) <= 2
        if page["next_cursor"] is None:
            break
        cursors += 1
        more = ["--limit", "2", "--cursor", page["next_cursor"]]
    assert (seen, cursors) == (ids(*keys), 2)


def test_it_lists_fifty_unless_told_otherwise(ledger: Ledger, redis_url: str) -> None:
    for _ in range(51):
        dead(ledger)
    page = answer(run(redis_url, "dead", "list", "--json"))
    assert len(page["items"]) == 50
    assert page["next_cursor"] is not None
    assert len(listed(redis_url, "--limit", "51")) == 51


@pytest.mark.parametrize("cursor", ["x", "1:2", "soon:default_x"])
def test_it_refuses_a_cursor_that_no_page_gave(redis_url: str, cursor: str) -> None:
    complaint = error(run(redis_url, "dead", "list", "--cursor", cursor, "--json"), 2)
    assert complaint.splitlines()[-1] == (
        f"Error: cursor '{cursor}': use the next_cursor of the page before, unchanged"
    )


def test_it_leaves_out_what_was_discarded(ledger: Ledger, redis_url: str) -> None:
    key = dead(ledger)
    assert ledger.advance(key, lambda push: life.discarded(push, "anna", "forged", NOW))
    assert listed(redis_url) == []


def test_it_leaves_out_what_comes_to_life_while_it_reads(
    ledger: Ledger, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    revived, still_dead = dead(ledger), dead(ledger, now=after(1))
    get_many = records.get_many

    def late(redis: Redis, wanted: list[PushKey]) -> object:
        ledger.advance(revived, lambda push: life.replayed(push, "anna", "why not", NOW))
        return get_many(redis, wanted)

    monkeypatch.setattr(records, "get_many", late)
    assert listed(redis_url) == ids(still_dead)


def test_it_lets_no_fault_of_ours_pass_for_a_wrong_cursor(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("a record that cannot be read")

    monkeypatch.setattr(dead_letters, "page", broken)
    with pytest.raises(ValueError, match="a record that cannot be read"):
        run(redis_url, "dead", "list")


def test_it_writes_nothing(ledger: Ledger, redis_client: "Redis", redis_url: str) -> None:
    dead(ledger)
    before = everything(redis_client)
    assert run(redis_url, "dead", "list").exit_code == 0
    assert everything(redis_client) == before
