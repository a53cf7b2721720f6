"""Pushes that are refused: counted, told, and an alarm when they keep coming."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from structlog.testing import capture_logs

from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import poll
from pushes.policy import WRONG_TOKENS_IN_AN_HOUR
from pushes.read import alarms, overview
from pushes.read.alarms import Alarm
from pushes.store import keys
from pushes.store.counted import refusals
from pushes.store.counted.refusals import RefusalReason
from pushes.store.ledger import Ledger
from service import deps, make_app
from service.deps import Deps
from service.push.intake import MAX_BODY_BYTES
from service.push.refusals import Refusals
from service.settings import load
from tests.builders import NOW, an_order_id

TOKEN = "the-right-token"


@pytest.fixture
def app(redis_url: str, tmp_path: Path) -> Iterator[Flask]:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text("[accounts.se]\n[accounts.no]\n")
    environment = {"REDIS_URL": redis_url, "ACCOUNTS_FILE": str(accounts), "PUSH_TOKEN": TOKEN}
    app = make_app(load(environment))
    with app.app_context():
        yield app
        deps.current().close()


@pytest.fixture
def uses(app: Flask) -> Deps:
    with app.app_context():
        return deps.current()


def push(app: Flask, path: str, token: str = TOKEN, body: bytes = b"") -> int:
    return (
        app.test_client()
        .post(f"/push/{path}", query_string={"token": token}, data=body)
        .status_code
    )


def logged(uses: Deps) -> Sequence[Mapping[str, Any]]:
    """What is logged when the counts are handed on."""
    with capture_logs() as lines:
        uses.refusals.close()
    return lines


def test_it_counts_what_is_refused_by_account_and_reason(
    app: Flask, uses: Deps, redis_client: Redis
) -> None:
    order_id = an_order_id()
    answers = [
        push(app, f"se/{order_id}"),
        push(app, f"se/{order_id}", token="the-old-token"),
        push(app, f"se/{order_id}", token=""),
        push(app, f"no/{order_id}", token="the-old-token"),
        push(app, f"dk/{order_id}"),
        push(app, "se/not-an-id"),
        push(app, "se"),
        push(app, f"no/{order_id}", body=b"x" * (MAX_BODY_BYTES + 1)),
    ]

    uses.refusals.close()

    assert answers == [200, 404, 404, 404, 404, 400, 400, 413]
    expected = {
        ("se", RefusalReason.WRONG_TOKEN): 2,
        ("no", RefusalReason.WRONG_TOKEN): 1,
        (None, RefusalReason.UNKNOWN_ACCOUNT): 1,
        ("se", RefusalReason.MALFORMED_ID): 2,
        ("no", RefusalReason.TOO_LARGE): 1,
    }
    assert refusals.totals(redis_client) == expected
    seen = overview.read(Ledger(redis_client), NOW)
    assert seen.refused == expected
    assert overview.status(seen)["refused"] == [
        {"account": None, "reason": "unknown_account", "pushes": 1},
        {"account": "no", "reason": "too_large", "pushes": 1},
        {"account": "no", "reason": "wrong_token", "pushes": 1},
        {"account": "se", "reason": "malformed_id", "pushes": 2},
        {"account": "se", "reason": "wrong_token", "pushes": 2},
    ]
    shown = app.test_client().get("/metrics").text
    assert 'klarna_ack_pushes_refused_total{account="se",reason="wrong_token"} 2.0' in shown
    assert 'klarna_ack_pushes_refused_total{account="",reason="unknown_account"} 1.0' in shown


def test_it_tells_which_pushes_once_a_minute(app: Flask, uses: Deps) -> None:
    order_id = an_order_id()
    push(app, f"se/{order_id}", token="the-old-token")
    push(app, f"dk/{order_id}")

    (line,) = logged(uses)
    push(app, f"se/{order_id}", token="the-old-token")

    assert (line["event"], line["log_level"]) == ("push.refused", "warning")
    assert line["refused"] == {"se": {"wrong_token": 1}, "(none)": {"unknown_account": 1}}
    assert line["order_ids"] == [order_id]
    assert "compare the push URL at Klarna" in line["action"]
    assert logged(uses) == []


def test_a_flood_of_them_is_a_few_commands(app: Flask, uses: Deps, redis_client: Redis) -> None:
    before = commands(redis_client)

    for _ in range(200):
        push(app, f"se/{an_order_id()}", token="a-guess-at-it")
    uses.refusals.close()

    assert commands(redis_client) - before < 30
    assert refusals.totals(redis_client) == {("se", RefusalReason.WRONG_TOKEN): 200}


def commands(redis: Redis) -> int:
    return int(redis.info("stats")["total_commands_processed"])


def test_it_raises_an_alarm_when_wrong_tokens_keep_coming(
    app: Flask, uses: Deps, redis_client: Redis
) -> None:
    for _ in range(WRONG_TOKENS_IN_AN_HOUR - 1):
        push(app, f"se/{an_order_id()}", token="the-old-token")
    push(app, f"no/{an_order_id()}", token="the-old-token")
    before = [line["event"] for line in logged(uses)]
    raised_before = alarms.raised(redis_client)

    push(app, f"se/{an_order_id()}", token="the-old-token")
    (line,) = logged(uses)

    assert (before, raised_before) == (["push.refused"], {})
    assert (line["event"], line["log_level"]) == ("pushes.refused", "error")
    assert line["accounts"] == {"se": WRONG_TOKENS_IN_AN_HOUR}
    assert set(alarms.raised(redis_client)) == {Alarm.PUSHES_REFUSED}
    push(app, f"se/{an_order_id()}", token="the-old-token")
    assert logged(uses) == []  # it is raised already


def test_it_forgets_no_count_while_redis_is_away(
    app: Flask, uses: Deps, redis_client: Redis, valkey: EmbeddedServer
) -> None:
    valkey.freeze()
    push(app, f"se/{an_order_id()}", token="the-old-token")
    uses.refusals.close()
    valkey.thaw()

    push(app, f"se/{an_order_id()}", token="the-old-token")
    uses.refusals.close()

    assert refusals.totals(redis_client) == {("se", RefusalReason.WRONG_TOKEN): 2}
    assert redis_client.ttl(redis_client.keys(f"{keys.REFUSED}:*")[0]) > 0


def test_it_hands_on_by_itself(redis_client: Redis) -> None:
    refused = Refusals(redis_client, gathered_s=0.01)

    refused.note("se", RefusalReason.TOO_LARGE)
    poll(lambda: refusals.totals(redis_client) == {("se", RefusalReason.TOO_LARGE): 1})
    refused.note("se", RefusalReason.TOO_LARGE)
    poll(lambda: refusals.totals(redis_client) == {("se", RefusalReason.TOO_LARGE): 2})
