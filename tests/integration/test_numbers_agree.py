"""Status, API, console, metrics, messages and RQ's own tool tell the same of the same orders."""

import json
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from notify.messages import Message
from notify.notifier import Notifier
from notify.recipients import Recipient
from pushes.access import sessions, tokens, users
from pushes.access.principals import Principal, UserRole
from pushes.accounts.holds import Holds
from pushes.accounts.serving import Serving, Share
from pushes.model import HoldReason, State
from pushes.store import keys
from pushes.store.ledger import Ledger
from service import make_app
from service.settings import load
from tests.builders import a_key, put
from tests.integration.test_cli_support import answer, run
from worker.claiming.quota import QuotaUse
from worker.periodic.heartbeat import Heartbeat

# State, account, and how many hours ago the first push came. A lease must not have lapsed, and RQ
# keeps the job of a settled order for five minutes.
ORDERS = (
    *[(State.QUEUED, "eu", 0.5)] * 3,
    (State.QUEUED, "eu", 30.0),
    *[(State.RUNNING, "eu", 0.0)] * 2,
    (State.RETRYING, "eu", 1.0),
    (State.RETRYING, "us", 46.0),
    *[(State.HELD, "us", 2.0)] * 5,
    *[(State.ACKNOWLEDGED, "eu", 0.0)] * 6,
    *[(State.NOT_NEEDED, "us", 0.0)] * 2,
    *[(State.DEAD, "eu", 37.0)] * 7,
    *[(State.DEAD, "us", 50.0)] * 4,
)
# By hours left; whoever has less than 12 has less than 24.
AT_RISK = {24: 9, 12: 8, 4: 1, 0: 4}
BY_STATE = Counter(state for state, _, _ in ORDERS)
BY_ACCOUNT = Counter((account, state) for state, account, _ in ORDERS)
WAITING = (State.QUEUED, State.RUNNING, State.RETRYING, State.HELD)
ACCOUNTS = ("eu", "us")
TOLERATED_S = 30

# Half of what the slots of 50 a second allow in a minute.
CALLS = 1410

Json = dict[str, Any]


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    ledger, now = Ledger(redis_client), datetime.now(UTC)
    for state, account, hours in ORDERS:
        put(ledger, state, a_key(account), now - timedelta(hours=hours))
    Holds(redis_client).begin("us", HoldReason.CREDENTIALS, "HTTP 401")
    worker = Heartbeat(redis_client, ledger.rq)
    worker.register_birth()  # type: ignore[no-untyped-call]  # RQ gives it no types
    worker.beat(0, 0)
    return ledger


@pytest.fixture
def app(redis_url: str) -> Flask:
    return make_app(load({"REDIS_URL": redis_url}))


@pytest.fixture
def status(redis_url: str, ledger: Ledger) -> Json:  # noqa: ARG001 - it has to be filled
    """What `klarna-ack status --json` prints."""
    told: Json = answer(run(redis_url, "status", "--json"))
    return told


def test_the_status_tells_what_there_is(status: Json) -> None:
    assert status["states"] == {state: BY_STATE[state] for state in State}
    assert sum(status["dead_by_reason"].values()) == BY_STATE[State.DEAD]
    assert {each["under_h"]: each["orders"] for each in status["at_risk"]} == AT_RISK
    assert {name: status["accounts"][name]["states"] for name in ACCOUNTS} == {
        name: {state: BY_ACCOUNT[name, state] for state in State if not state.is_settled}
        for name in ACCOUNTS
    }
    assert (status["workers"], status["accounts"]["us"]["held"]) == (1, "credentials")


def test_the_api_tells_what_the_status_does(app: Flask, ledger: Ledger, status: Json) -> None:
    told = ask(app, ledger, "status")

    for view in (told, status):
        del view["read_at"]
    oldest_s = [view.pop("oldest_waiting_s") for view in (told, status)]
    assert told == status
    assert 0 <= oldest_s[0] - oldest_s[1] < TOLERATED_S


def test_the_metrics_tell_what_the_status_does(app: Flask, status: Json) -> None:
    text = app.test_client().get("/metrics").text
    shown = {
        name: float(value)
        for name, value in re.findall(r"^klarna_ack_([^ ]+) (\S+)$", text, re.MULTILINE)
    }

    def labelled(name: str, label: str) -> dict[str, float]:
        found = re.compile(rf'{name}\{{{label}="([^"]+)"\}}')
        return {match[1]: n for key, n in shown.items() if (match := found.fullmatch(key))}

    assert labelled("pushes", "state") == status["states"]
    assert {name: n for name, n in labelled("dead", "reason").items() if n} == {
        name: n for name, n in status["dead_by_reason"].items() if n
    }
    assert labelled("at_risk", "under_hours") == {
        str(each["under_h"]): each["orders"] for each in status["at_risk"]
    }
    for name in ACCOUNTS:
        states = status["accounts"][name]["states"]
        for state in WAITING:
            key = f'account_waiting{{account="{name}",state="{state}"}}'
            assert shown.get(key, 0) == states[state], key
    assert shown['account_held{account="us",reason="credentials"}'] == 1
    assert shown["workers"] == status["workers"]
    assert 0 <= shown["oldest_waiting_seconds"] - status["oldest_waiting_s"] < TOLERATED_S


def test_the_console_tells_what_the_status_does(app: Flask, ledger: Ledger, status: Json) -> None:
    html = console(app, ledger).get("/ops/").text

    tiles = re.findall(r'<li class="tile (\w+).*?class="count">([\d,]+)<', html, re.DOTALL)
    assert {name: int(n) for name, n in tiles} == status["states"]
    risk = re.findall(r'<th scope="row" class="short">.*?class="num">(\d+)<', html, re.DOTALL)
    assert [int(n) for n in risk] == [each["orders"] for each in status["at_risk"]]
    for name in ACCOUNTS:
        states = status["accounts"][name]["states"]
        row = re.search(rf'<th scope="row">{name}</th>(.*?)</tr>', html, re.DOTALL)
        assert row
        numbers = [int(n) for n in re.findall(r'class="num"[^>]*>(\d+)<', row[1])]
        assert numbers == [sum(states[state] for state in WAITING), states[State.DEAD]]
    alive = re.search(r"<dt>Workers alive</dt><dd><a [^>]*>(\d+)</a>", html)
    assert alive
    assert int(alive[1]) == status["workers"]


def test_metrics_console_and_api_tell_the_same_of_the_quota(app: Flask, ledger: Ledger) -> None:
    now, use = datetime.now(UTC), QuotaUse(ledger.redis)
    Serving(ledger.redis, [Share.of("eu", 50)]).announce()
    for minute in (now - timedelta(minutes=1), now):  # whichever is the last whole one
        use.note("eu", [0.0] * CALLS)
        use.hand_on(minute)

    accounts = ask(app, ledger, "accounts")
    told = {name: accounts[name]["quota_used"] for name in ACCOUNTS}
    assert told == {"eu": {"calls_per_s": 23.5, "allowed_per_s": 47.0, "share": 0.5}, "us": None}
    counted = 'klarna_ack_quota_slots_total{account="eu"} '
    assert f"{counted}{2 * CALLS:.1f}\n" in app.test_client().get("/metrics").text
    client = console(app, ledger)
    used = "50% of its quota used in the last minute: 23.5 of 47 calls a second."
    assert used in client.get("/ops/accounts/").text
    row = re.search(r'<th scope="row">eu</th>(.*?)</tr>', client.get("/ops/").text, re.DOTALL)
    assert row
    assert 'data-column="Quota used">50%<' in row[1]


def ask(app: Flask, ledger: Ledger, what: str) -> Json:
    """What the API answers."""
    who = Principal("dashboard", UserRole.VIEWER)
    token = tokens.add(ledger.redis, who, by="test", now=datetime.now(UTC))
    headers = {"Authorization": f"Bearer {token}"}
    told: Json = json.loads(app.test_client().get(f"/ops/api/v1/{what}", headers=headers).data)
    return told


def console(app: Flask, ledger: Ledger) -> FlaskClient:
    """Somebody who is signed in to the console."""
    who = Principal("ops", UserRole.VIEWER)
    user = users.add(ledger.redis, who, password=None, by="test", now=datetime.now(UTC))
    client = app.test_client()
    code = sessions.make_link(ledger.redis, user)
    form = client.get(f"/ops/link?code={code}").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', form)
    assert token
    client.post(f"/ops/link?code={code}", data={"csrf_token": token[1], "code": code})
    return client


def test_the_messages_tell_what_the_status_does(ledger: Ledger, status: Json) -> None:
    got: list[Message] = []

    def deliver(_: Recipient, message: Message) -> str:
        got.append(message)
        return ""

    recipient = Recipient(1, "JSON", "json://1")
    for minutes in (0, 6):  # a hold is told when it has lasted five
        ledger.redis.delete(keys.notify_lease(recipient.key))
        now = datetime.now(UTC) + timedelta(minutes=minutes)
        Notifier(ledger, recipient, deliver).scan(now)
    text = "\n".join(message.body for message in got)

    letters = re.findall(r"^(\d+) dead letters of the account (\w+):", text, re.MULTILINE)
    assert {name: int(n) for n, name in letters} == {
        name: status["accounts"][name]["states"][State.DEAD] for name in ACCOUNTS
    }
    risk = {each["under_h"]: each["orders"] for each in status["at_risk"]}
    assert f"{risk[12]} orders have less than 12 hours left" in text
    assert f"{risk[0]} orders are past the deadline" in text
    held = [name for name in ACCOUNTS if status["accounts"][name]["held"]]
    assert re.findall(r"The account (\w+) is held", text) == held


def test_rq_tells_what_the_status_does(redis_url: str, status: Json) -> None:
    command = [str(Path(sys.executable).with_name("rq")), "info", "--raw", "--url", redis_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    found = re.search(
        r"^queue klarna-ack (\d+), (\d+) executing, (\d+) finished, (\d+) failed$",
        done.stdout,
        re.MULTILINE,
    )
    assert found, done.stdout
    states = status["states"]
    assert [int(n) for n in found.groups()] == [
        states[State.QUEUED],
        states[State.RUNNING],
        states[State.ACKNOWLEDGED] + states[State.NOT_NEEDED],
        states[State.DEAD],
    ]
