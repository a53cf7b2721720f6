"""`klarna-ack reconcile`: a shop's list against the ledger and the sandbox."""

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import pytest
from click.testing import Result
from redis import Redis

from devtools.local.sandbox_control import SandboxControl
from pushes import life
from pushes.model import PushKey, State
from pushes.read.audit import AuditEntry
from pushes.store.ledger import Ledger
from tests.builders import NOW, a_key, put
from tests.integration.test_cli_support import (
    accounts_that_leave_alone,
    audited,
    everything,
    run,
    take,
)

STATES = (State.QUEUED, State.RUNNING, State.RETRYING, State.HELD)


class Reconcile(Protocol):
    """Runs `klarna-ack reconcile --file -` with the sandbox as Klarna."""

    def __call__(self, ids: Iterable[str], *options: str, exit_code: int = 0) -> Result: ...


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


@pytest.fixture
def reconcile(redis_url: str, sandbox: SandboxControl) -> Reconcile:
    def run_reconcile(ids: Iterable[str], *options: str, exit_code: int = 0) -> Result:
        env = {"KLARNA_API_URL": sandbox.url, "KLARNA_USERNAME": "sandbox"}
        secret = {"KLARNA_PASSWORD": "sandbox"}
        command = ("reconcile", "--file", "-", "--rate", "1000", *options)
        result = run(redis_url, *command, stdin="\n".join(ids), **env, **secret)
        assert result.exit_code == exit_code, result.output
        return result

    return run_reconcile


def of(account: str, order_id: str, finding: str, **facts: object) -> dict[str, object]:
    nothing = dict.fromkeys(("state", "reason", "klarna_status", "detail"))
    return {
        "order_id": order_id,
        "account": account,
        "finding": finding,
        **nothing,
        "queued": False,
        **facts,
    }


def findings(result: Result) -> dict[str, str]:
    return {item["order_id"]: item["finding"] for item in json.loads(result.stdout)["items"]}


def test_it_tells_of_each_order_what_is_known_here(
    reconcile: Reconcile, ledger: Ledger, sandbox: SandboxControl
) -> None:
    keys = {state: put(ledger, state).key for state in State}
    discarded = put(ledger, State.DEAD).key
    assert ledger.advance(discarded, lambda push: life.discarded(push, "ops", "a test", NOW))
    before = everything(ledger.redis)

    told = json.loads(
        reconcile([*(key.order_id for key in keys.values()), discarded.order_id], "--json").stdout
    )

    held, dead = keys[State.HELD].order_id, keys[State.DEAD].order_id
    retrying = keys[State.RETRYING].order_id
    waiting = [
        of("default", keys[state].order_id, "unacknowledged", state=str(state))
        for state in (State.QUEUED, State.RUNNING)
    ]
    unknown = {"state": "dead", "reason": "no_such_order", "detail": "HTTP 404"}
    assert told == {
        "items": [
            *waiting,
            of("default", retrying, "unacknowledged", state="retrying", detail="HTTP 500"),
            of(
                *("default", held, "unacknowledged"),
                state="held",
                reason="credentials",
                detail="HTTP 401",
            ),
            of("default", keys[State.ACKNOWLEDGED].order_id, "acknowledged", state="acknowledged"),
            of("default", keys[State.NOT_NEEDED].order_id, "closed", state="not_needed"),
            of("default", dead, "dead", **unknown),
            of("default", discarded.order_id, "discarded", **unknown),
        ],
        "totals": {
            "never_heard_of": 0,
            "dead": 1,
            "not_told": 0,
            "unacknowledged": 4,
            "no_such_order": 0,
            "closed": 1,
            "discarded": 1,
            "captured": 0,
            "acknowledged": 1,
        },
        "bad_lines": [],
    }
    assert everything(ledger.redis) == before
    assert sandbox.requests() == []


def test_it_asks_klarna_about_what_was_never_heard_of(
    reconcile: Reconcile, ledger: Ledger, sandbox: SandboxControl
) -> None:
    ids = {
        status: sandbox.create_order(status=status)
        for status in ("AUTHORIZED", "PART_CAPTURED", "CAPTURED", "CANCELLED", "EXPIRED", "X_NEW")
    }
    unknown, known = a_key().order_id, put(ledger, State.ACKNOWLEDGED).key.order_id
    told = reconcile([*ids.values(), unknown, known], "--json")
    assert findings(told) == {
        ids["AUTHORIZED"]: "never_heard_of",
        ids["PART_CAPTURED"]: "captured",
        ids["CAPTURED"]: "captured",
        ids["CANCELLED"]: "closed",
        ids["EXPIRED"]: "closed",
        ids["X_NEW"]: "never_heard_of",
        unknown: "no_such_order",
        known: "acknowledged",
    }
    assert [one["operation"] for one in sandbox.requests()] == ["get_order"] * 7
    assert findings(reconcile([unknown], "--json", "--without-klarna")) == {
        unknown: "never_heard_of"
    }
    assert len(sandbox.requests()) == 7


def test_it_goes_by_what_the_account_leaves_alone(
    redis_url: str, ledger: Ledger, sandbox: SandboxControl, tmp_path: Path
) -> None:
    env = accounts_that_leave_alone(tmp_path, sandbox, "CAPTURED", "CANCELLED")
    ids = {
        status: sandbox.create_order(status=status)
        for status in ("CAPTURED", "PART_CAPTURED", "CANCELLED", "EXPIRED")
    }
    command = ("reconcile", "--file", "-", "--rate", "1000", "--json")
    told = run(redis_url, *command, stdin="\n".join(ids.values()), **env)
    assert findings(told) == {
        ids["CAPTURED"]: "closed",
        ids["PART_CAPTURED"]: "captured",
        ids["CANCELLED"]: "closed",
        ids["EXPIRED"]: "never_heard_of",
    }
    assert ledger.redis.keys() == []


def test_it_queues_what_was_never_heard_of_and_nothing_else(
    reconcile: Reconcile, ledger: Ledger, sandbox: SandboxControl
) -> None:
    missing, closed = sandbox.create_order(), sandbox.create_order(status="CANCELLED")
    unknown, dead = a_key().order_id, put(ledger, State.DEAD).key
    ids = [missing, closed, unknown, dead.order_id]
    told = json.loads(
        reconcile(ids, "--push-missing", "--json", "--why", "Sunday", "--by", "anna").stdout
    )
    first, *others = told["items"]
    assert first == of(
        *("default", missing, "never_heard_of"),
        state="queued",
        klarna_status="AUTHORIZED",
        queued=True,
    )
    assert [item["queued"] for item in others] == [False, False, False]
    assert ledger.rq.queue.get_job_ids() == [f"default_{missing}"]
    assert take(ledger, dead).state is State.DEAD
    assert audited(ledger.redis) == [
        AuditEntry("anna", "push", "default", why="Sunday", orders=1, order_id=missing)
    ]
    again = reconcile(ids, "--push-missing").stdout
    assert "queued" in again
    assert ledger.rq.queue.get_job_ids() == [f"default_{missing}"]


def test_it_lists_what_needs_somebody_the_most_pressing_first(
    reconcile: Reconcile, ledger: Ledger, sandbox: SandboxControl
) -> None:
    missing = sandbox.create_order()
    dead, waiting = put(ledger, State.DEAD).key.order_id, put(ledger, State.QUEUED).key.order_id
    fine = put(ledger, State.ACKNOWLEDGED).key.order_id
    lines = reconcile([fine, waiting, dead, missing]).stdout.splitlines()
    assert lines[0].split() == ["order_id", "finding", "state", "reason", *COLUMNS]
    assert [line.split()[:2] for line in lines[1:4]] == [
        [missing, "never_heard_of"],
        [dead, "dead"],
        [waiting, "unacknowledged"],
    ]
    assert [line for line in lines[4:] if line] == [
        "1 never heard of, 1 dead, 1 unacknowledged, 1 acknowledged.",
        "Never heard of: no push of them ever came: --push-missing queues them.",
        "Dead: see `klarna-ack show ORDER_ID` for the next step, then `klarna-ack dead replay`.",
        "Unacknowledged: they wait for a worker; see `klarna-ack status`.",
    ]
    assert reconcile([]).stdout == "The file names no order.\n"


COLUMNS = ("at_klarna", "queued", "detail")


def test_it_names_each_line_at_fault_and_goes_on(
    redis_url: str, ledger: Ledger, tmp_path: Path
) -> None:
    key = put(ledger, State.ACKNOWLEDGED).key
    shop = tmp_path / "orders.csv"
    out = io.StringIO()
    csv.writer(out).writerows(
        [["number", "klarna_order_id"], ["1001", key.order_id.upper()], ["1002", "none"]]
    )
    shop.write_bytes(b"\xef\xbb\xbf" + out.getvalue().encode())
    result = run(redis_url, "reconcile", "--file", str(shop))
    assert (result.exit_code, result.stdout) == (1, "1 acknowledged.\n")
    assert result.stderr.splitlines() == [
        "line 3: '1002,none' names no order id",
        "Error: 1 lines name no order. All others are told.",
    ]


def test_it_waits_when_klarna_asks_for_that(
    reconcile: Reconcile, sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("cli.reconcile.asking.time.sleep", slept.append)
    order_id = sandbox.create_order()
    sandbox.add_fault("rate_limited", times=2, params={"retry_after_s": 7})
    assert findings(reconcile([order_id], "--json")) == {order_id: "never_heard_of"}
    assert [pause for pause in slept if pause >= 1] == [7, 7]


def test_it_says_what_klarna_did_not_tell_and_queues_nothing_of_it(
    reconcile: Reconcile, ledger: Ledger, sandbox: SandboxControl
) -> None:
    ids = sandbox.create_orders(count=12)
    sandbox.add_fault("status", params={"status": 503})
    result = reconcile(ids, "--json", "--push-missing", exit_code=1)
    items: list[dict[str, Any]] = json.loads(result.stdout)["items"]
    assert {item["finding"] for item in items} == {"not_told"}
    assert items[0]["detail"].startswith("HTTP 503")
    assert items[-1]["detail"] == "not asked: 10 failures in a row before it"
    assert len(sandbox.requests()) == 10
    assert result.stderr == "Error: 12 orders could not be told. All others are told.\n"
    assert ledger.redis.keys() == []


def test_it_ends_at_once_when_klarna_refuses_the_account(
    reconcile: Reconcile, sandbox: SandboxControl
) -> None:
    ids = sandbox.create_orders(count=3)
    sandbox.settings(password="another")
    result = reconcile(ids, exit_code=1)
    assert "`klarna-ack doctor --account default` tests them" in result.stderr
    assert len(sandbox.requests()) == 1


def test_it_takes_the_refusal_of_one_order_for_its_own(
    reconcile: Reconcile, sandbox: SandboxControl
) -> None:
    other, mine = sandbox.create_orders(count=2)
    sandbox.add_fault("forbidden_html", order_id=other)
    assert findings(reconcile([other, mine], "--json", exit_code=1)) == {
        other: "not_told",
        mine: "never_heard_of",
    }


def test_it_looks_in_the_account_that_is_named(
    redis_url: str, ledger: Ledger, tmp_path: Path
) -> None:
    key = PushKey("us", put(ledger, State.ACKNOWLEDGED).key.order_id)
    put(ledger, State.QUEUED, key)
    accounts = tmp_path / "accounts.toml"
    accounts.write_text("[accounts.us]\nusername = 'u'\n[accounts.eu]\nusername = 'e'\n")
    options = ("--file", "-", "--without-klarna", "--json")

    def found(*account: str) -> Result:
        command = ("reconcile", *options, *account)
        return run(redis_url, *command, stdin=key.order_id, ACCOUNTS_FILE=str(accounts))

    assert found().exit_code == 2
    assert findings(found("--account", "us")) == {key.order_id: "unacknowledged"}
    assert findings(found("--account", "eu")) == {key.order_id: "never_heard_of"}
