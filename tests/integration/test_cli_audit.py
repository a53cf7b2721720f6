from datetime import datetime
from typing import Any

import pytest
from redis import Redis

from pushes.operate import audit as writing
from pushes.operate.audit import append
from pushes.read import audit
from pushes.read.audit import AuditEntry, AuditResult
from pushes.store import keys
from tests.integration.test_cli_support import answer, error, everything, run

ORDER_ID = "0c3e1f2a-1111-6222-a333-444455556666"


def listed(redis_url: str, *options: str) -> Any:  # noqa: ANN401 - JSON
    return answer(run(redis_url, "audit", "--json", *options))


def test_it_finds_what_concerns_one_account_among_much_else(
    redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_CHUNK", 3)
    accounts = ["us", *["eu"] * 7, "us", None, "eu", "eu", "us"]
    for number, account in enumerate(accounts):
        append(redis_client, AuditEntry("ops", "pause", account, why=str(number)))
    wanted = [str(n) for n, account in enumerate(accounts) if account == "us"][::-1]

    def page(limit: int, before: str | None = None) -> list[audit.AuditLine]:
        return audit.newest_first(redis_client, limit=limit, account="us", before=before).lines

    whole = page(10)
    assert [line.entry.why for line in whole if line.entry] == wanted
    first = page(2)
    assert [*first, *page(2, first[-1].place)] == whole
    assert len(audit.newest_first(redis_client, limit=20).lines) == len(accounts)


def test_it_says_how_far_it_has_looked_for_what_concerns_one_account(
    redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_CHUNK", 3)
    append(redis_client, *[AuditEntry("ops", "pause", who) for who in ["us", *["eu"] * 7, "us"]])
    everything = audit.newest_first(redis_client, limit=10)
    places = [line.place for line in everything.lines]

    def page(before: str | None = None) -> audit.AuditLines:
        return audit.newest_first(
            redis_client, limit=10, account="us", before=before, look_at_most=6
        )

    first = page()
    assert first == audit.AuditLines(everything.lines[:1], places[5])
    assert first.looked_back_to == everything.lines[5].at
    last = page(places[5])
    assert last == audit.AuditLines(everything.lines[-1:], None)
    assert last.looked_back_to is None


def test_it_lists_what_operators_did_the_newest_first(redis_client: Redis, redis_url: str) -> None:
    append(
        redis_client,
        AuditEntry("ops", "pause", "eu", why="moving"),
        AuditEntry("anna", "replay", "us", AuditResult.INTERRUPTED, "Klarna is back", 7, 2),
        AuditEntry("anna", "order capture", "us", orders=1, order_id=ORDER_ID, detail="60.00 SEK"),
    )
    shown = listed(redis_url)
    times = [datetime.fromisoformat(item.pop("at")) for item in shown["items"]]
    assert times == sorted(times, reverse=True)
    assert shown == {
        "items": [
            {
                "by": "anna",
                "action": "order capture",
                "account": "us",
                "orders": 1,
                "refused": 0,
                "result": "done",
                "why": None,
                "order_id": ORDER_ID,
                "detail": "60.00 SEK",
            },
            {
                "by": "anna",
                "action": "replay",
                "account": "us",
                "orders": 7,
                "refused": 2,
                "result": "interrupted",
                "why": "Klarna is back",
                "order_id": None,
                "detail": None,
            },
            {
                "by": "ops",
                "action": "pause",
                "account": "eu",
                "orders": None,
                "refused": 0,
                "result": "done",
                "why": "moving",
                "order_id": None,
                "detail": None,
            },
        ],
        "next_cursor": None,
    }


def test_it_lists_them_in_aligned_text(redis_client: Redis, redis_url: str) -> None:
    assert run(redis_url, "audit").stdout == "Nothing was done yet.\n"
    append(
        redis_client,
        AuditEntry("anna", "replay", "us", why="Klarna is back", orders=7, refused=2),
        AuditEntry("ops", "push", "us", orders=1, order_id=ORDER_ID),
    )
    header, *lines = run(redis_url, "audit").stdout.splitlines()
    assert header.split() == ["at", "by", "action", "account", "orders", "result", "why"]
    assert [line.split()[1:] for line in lines] == [
        ["ops", "push", "us", ORDER_ID, "done", "-"],
        ["anna", "replay", "us", "7", "done,", "2", "refused", "Klarna", "is", "back"],
    ]


def test_it_lists_what_was_asked_of_klarna(redis_client: Redis, redis_url: str) -> None:
    asked = AuditEntry(
        "anna", "order capture", "us", orders=1, order_id=ORDER_ID, detail="6.00 SEK"
    )
    append(redis_client, asked)
    header, line = run(redis_url, "audit").stdout.splitlines()
    assert header.split()[-1] == "detail"
    assert line.endswith("done    6.00 SEK")


def test_it_lists_a_page_at_a_time(
    redis_client: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_CHUNK", 3)
    append(
        redis_client,
        *(AuditEntry(str(number), "pause", "eu" if number % 2 else "us") for number in range(9)),
    )
    first = listed(redis_url, "--limit", "5")
    assert [item["by"] for item in first["items"]] == ["8", "7", "6", "5", "4"]
    second = listed(redis_url, "--limit", "5", "--cursor", first["next_cursor"])
    assert [item["by"] for item in second["items"]] == ["3", "2", "1", "0"]
    assert second["next_cursor"] is None
    of_one = listed(redis_url, "--account", "us", "--limit", "5")
    assert [item["by"] for item in of_one["items"]] == ["8", "6", "4", "2", "0"]
    assert of_one["next_cursor"] is None


@pytest.mark.parametrize("cursor", ["x", "1", "1-", "1-x", "-1-1", "\u0661-1"])
def test_it_refuses_a_cursor_that_no_page_gave(redis_url: str, cursor: str) -> None:
    complaint = error(run(redis_url, "audit", "--cursor", cursor), 2)
    assert complaint.splitlines()[-1].endswith("use the next_cursor of the page before, unchanged")


def test_it_shows_an_entry_that_cannot_be_read_as_such(redis_client: Redis, redis_url: str) -> None:
    append(redis_client, AuditEntry("ops", "pause", "eu"))
    odd: list[Any] = [{b"by": b"\xff"}, {b"by": b"ops", b"result": b"bored"}, {b"x": b"y"}]
    for fields in odd:
        redis_client.xadd(keys.AUDIT, fields)
    items = listed(redis_url)["items"]
    assert [item["action"] for item in items] == [None, None, None, "pause"]
    assert run(redis_url, "audit").stdout.count("cannot be read") == 3


def test_it_writes_nothing(redis_client: Redis, redis_url: str) -> None:
    append(redis_client, AuditEntry("ops", "pause", "eu"))
    before = everything(redis_client)
    assert run(redis_url, "audit").exit_code == 0
    assert everything(redis_client) == before


def test_it_forgets_the_oldest(redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_KEPT", 100)
    append(redis_client, *[AuditEntry("ops", "pause", "eu")] * 1000)
    assert 100 <= redis_client.xlen(keys.AUDIT) < 300
