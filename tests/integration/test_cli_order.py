"""`klarna-ack order …` against the sandbox: what Klarna is asked, what is kept, what is told."""

import json
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest
from click.testing import Result
from redis import Redis

from devtools.local.processes import ROOT, poll
from devtools.local.sandbox_control import LoggedRequest, SandboxControl
from pushes import life, policy
from pushes.model import PushKey, Reason, State
from pushes.read.audit import AuditEntry, AuditResult
from pushes.store import keys
from pushes.store.ledger import Ledger
from tests.builders import put
from tests.integration.test_cli_support import (
    accounts_that_leave_alone,
    audited,
    error,
    events,
    run,
    take,
)

READS = ("get_order",)


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


class RunOrder(Protocol):
    """Runs `klarna-ack order` with the sandbox as Klarna."""

    def __call__(self, *arguments: str, stdin: str = "", exit_code: int = 0) -> Result: ...


@pytest.fixture
def order(redis_url: str, sandbox: SandboxControl) -> RunOrder:
    def run_order(*arguments: str, stdin: str = "", exit_code: int = 0) -> Result:
        result = run(redis_url, "order", *arguments, stdin=stdin, **environment(sandbox))
        assert result.exit_code == exit_code, result.output
        return result

    return run_order


def environment(sandbox: SandboxControl) -> dict[str, str]:
    return {
        "KLARNA_API_URL": sandbox.url,
        "KLARNA_USERNAME": "sandbox",
        "KLARNA_PASSWORD": "sandbox",
    }


def writes(sandbox: SandboxControl, order_id: str) -> list[LoggedRequest]:
    return [one for one in sandbox.requests(order_id) if one["operation"] not in READS]


def kept(redis: Redis) -> list[bytes]:
    return list(redis.scan_iter(f"{keys.PREFIX}:unanswered:*"))


def test_it_shows_an_order_whole(order: RunOrder, ledger: Ledger, sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order(amount=12500, status="PART_CAPTURED")
    put(ledger, State.ACKNOWLEDGED, PushKey("default", order_id))
    shown = json.loads(order("get", order_id.upper(), "--json").stdout)
    assert {name: shown[name] for name in ("order_id", "account", "state")} == {
        "order_id": order_id,
        "account": "default",
        "state": "acknowledged",
    }
    assert shown["order"]["order_amount"] == 12500
    assert shown["order"]["shipping_address"]["family_name"] == "Sandboxperson"
    text = order("get", order_id).stdout
    for line in (
        "status                PART_CAPTURED",
        "here                  acknowledged: Klarna said 2xx to acknowledge.",
        "amount                125.00 SEK",
        "captured              62.50 SEK",
        "SANDBOX-17  physical  1         125.00 SEK  125.00 SEK  Sandbox spade",
        "family name     Sandboxperson",
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize(
    ("arguments", "stdin", "call", "detail"),
    [
        (("acknowledge",), "", "acknowledge", None),
        (("cancel", "--yes"), "", "cancel", None),
        (("set-amount", "60.00", "SEK"), "y\n", "update_authorization", "60.00 SEK"),
        (("capture", "6000", "SEK", "--minor-units"), "y\n", "capture", "60.00 SEK"),
        (
            ("set-references", "--reference1", "1001", "--reference2", ""),
            "",
            "update_merchant_references",
            "merchant_reference1 '1001', merchant_reference2 ''",
        ),
        (
            ("set-address", "--file", "-"),
            '\ufeff{"city": "Uppsala", "given_name": "Per"}',
            "update_customer_details",
            "shipping address: city, given_name",
        ),
        (
            ("add-shipping", "--company", "Post", "--tracking-number", "17"),
            "",
            "add_shipping_info",
            "parcels: 1 (Post 17)",
        ),
    ],
)
def test_it_keeps_who_changed_an_order_and_when(  # noqa: PLR0913, PLR0917 - a row of the table
    order: RunOrder,
    ledger: Ledger,
    sandbox: SandboxControl,
    arguments: tuple[str, ...],
    stdin: str,
    call: str,
    detail: str | None,
) -> None:
    order_id = sandbox.create_order(amount=12500)
    key = PushKey("default", order_id)
    put(ledger, State.ACKNOWLEDGED, key)
    action, *rest = arguments
    why = ("--why", "the customer rang", "--by", "anna")
    result = order(action, order_id, *rest, *why, "--json", stdin=stdin)

    (sent,) = writes(sandbox, order_id)
    assert (sent["operation"], sent["effect"]) == (call, True)
    told = json.loads(result.stdout)
    assert told["order"].pop("status") == {
        "cancel": "CANCELLED",
        "capture": "PART_CAPTURED",
    }.get(call, "AUTHORIZED")
    assert {name: told[name] for name in told if name not in {"order", "capture_id"}} == {
        "order_id": order_id,
        "account": "default",
        "call": call,
        "result": "done",
        "repeated": False,
        "idempotency_key": sent["idempotency_key"],
        "correlation_id": sent["correlation_id"],
        "state": "acknowledged",
    }
    assert (told["capture_id"] is not None) == (call == "capture")
    reasons = ": ".join(part for part in (detail, "the customer rang") if part)
    assert events(ledger, key)[-2:] == [
        ("asked_by_operator", reasons, "anna"),
        ("call", None, None),
    ]
    entry = AuditEntry(
        "anna",
        f"order {action}",
        "default",
        AuditResult.BEGUN,
        "the customer rang",
        1,
        order_id=order_id,
        detail=detail,
    )
    done = AuditEntry(
        "anna",
        f"order {action}",
        "default",
        why=entry.why,
        orders=1,
        order_id=order_id,
        detail=detail,
    )
    assert audited(ledger.redis) == [entry, done]
    assert kept(ledger.redis) == []
    everything_kept = b"".join(ledger.redis.dump(name) or b"" for name in ledger.redis.scan_iter())
    assert b"Uppsala" not in everything_kept


def test_it_changes_an_order_that_was_never_heard_of(
    order: RunOrder, ledger: Ledger, sandbox: SandboxControl
) -> None:
    order_id = sandbox.create_order()
    told = order("acknowledge", order_id).stdout
    assert sandbox.order(order_id)["acknowledged"]
    assert "no push of this order is known: what was done stands in `klarna-ack audit` only" in told
    assert [entry and entry.order_id for entry in audited(ledger.redis)] == [order_id, order_id]
    assert not ledger.redis.exists(keys.record(PushKey("default", order_id)))


@pytest.mark.parametrize(
    ("action", "state"), [("acknowledge", State.ACKNOWLEDGED), ("cancel", State.NOT_NEEDED)]
)
def test_it_settles_a_dead_letter(
    order: RunOrder, ledger: Ledger, sandbox: SandboxControl, action: str, state: State
) -> None:
    key = PushKey("default", sandbox.create_order())
    running = put(ledger, State.RUNNING, key)
    dead = life.dead(running, Reason.REJECTED, running.changed_at, "HTTP 400")
    assert ledger.commit_many([dead]) == [True]
    order(action, key.order_id, *(["--yes"] if action == "cancel" else []))
    push = take(ledger, key)
    assert (push.state, push.reason, push.last_error) == (state, None, None)
    assert ledger.rq.queue.failed_job_registry.get_job_ids() == []


def test_it_takes_what_is_settled_out_of_the_queue(
    order: RunOrder, ledger: Ledger, sandbox: SandboxControl
) -> None:
    key = PushKey("default", sandbox.create_order())
    put(ledger, State.QUEUED, key)
    order("acknowledge", key.order_id)
    assert take(ledger, key).state is State.ACKNOWLEDGED
    assert ledger.rq.queue.get_job_ids() == []


def test_it_tells_of_a_refusal_what_why_and_what_to_do(
    order: RunOrder, ledger: Ledger, sandbox: SandboxControl
) -> None:
    order_id = sandbox.create_order(status="PART_CAPTURED")
    key = PushKey("default", order_id)
    put(ledger, State.ACKNOWLEDGED, key)
    complaint = error(order("cancel", order_id, "--yes", exit_code=1), 1)
    (sent,) = writes(sandbox, order_id)
    refusal = "HTTP 403 CANCEL_NOT_ALLOWED Order has previous captures. Cancel not possible."
    look = f"`klarna-ack order get {order_id} --account default`"
    assert complaint.splitlines() == [
        f"Error: cancel of order {order_id}, account default, failed: {refusal}",
        "  Why: the order's state or Klarna's risk assessment forbids it; nothing was done.",
        f"  What to do: Look at the order with {look}.",
        f"  Correlation id: {sent['correlation_id']} (Klarna's support asks for it)",
    ]
    last = audited(ledger.redis)[-1]
    assert last
    assert (last.result, last.detail) == (
        AuditResult.FAILED,
        "HTTP 403 CANCEL_NOT_ALLOWED Order has previous captures. Cancel not possible.",
    )
    assert events(ledger, key)[-1] == (
        "call",
        "Order has previous captures. Cancel not possible.",
        None,
    )
    assert kept(ledger.redis) == []  # Klarna judged it: the next one is judged anew


def test_it_tells_what_helps_against_each_kind_of_failure(
    order: RunOrder, sandbox: SandboxControl
) -> None:
    order_id = sandbox.create_order()
    told = {}
    for status in (401, 404, 400, 429, 500):
        sandbox.add_fault("status", times=1, params={"status": status})
        told[status] = error(order("get", order_id, exit_code=1), 1)
        sandbox.clear_faults()
    assert "`klarna-ack doctor --account default` tests them" in told[401]
    assert "Check the id and --account." in told[404]
    assert "Correct what the message names" in told[400]
    assert "Run this again after the pause." in told[429]
    assert "Run this again in a minute" in told[500]


def test_it_sends_a_write_whose_answer_was_lost_again_with_its_key(
    order: RunOrder, ledger: Ledger, sandbox: SandboxControl
) -> None:
    order_id = sandbox.create_order(amount=12500)
    capture = ("capture", order_id, "60.00", "SEK", "--yes")
    sandbox.add_fault("reset_after_effect", operation="capture", times=1)
    complaint = error(order(*capture, exit_code=1), 1)
    assert "Nobody knows whether Klarna did it." in complaint
    assert "Run the same command again" in complaint
    last = audited(ledger.redis)[-1]
    assert last
    said = "60.00 SEK; no answer: connection reset; nobody knows whether Klarna did it"
    assert last.detail == said
    assert len(kept(ledger.redis)) == 1

    told = json.loads(order(*capture, "--json").stdout)
    first, again = writes(sandbox, order_id)
    assert told["repeated"] is True
    assert first["idempotency_key"] == again["idempotency_key"] == told["idempotency_key"]
    assert (first["effect"], again["effect"], again["replayed"]) == (True, False, True)
    assert told["order"]["captured_amount"] == 6000
    assert kept(ledger.redis) == []

    another = json.loads(order(*capture, "--json").stdout)  # meant as a second one: both are known
    assert another["idempotency_key"] != told["idempotency_key"]
    assert another["order"]["captured_amount"] == 12000


def test_it_sends_no_other_write_while_nobody_knows_of_the_first(
    order: RunOrder, ledger: Ledger, sandbox: SandboxControl
) -> None:
    order_id = sandbox.create_order(amount=12500)
    sandbox.add_fault("reset_before_effect", operation="capture", times=1)
    order("capture", order_id, "60.00", "SEK", "--yes", "--by", "anna", exit_code=1)
    other = ("capture", order_id, "50.00", "SEK", "--yes", "--by", "anna")
    complaint = error(order(*other, exit_code=1), 1)
    assert "anna sent capture (60.00 SEK) of this order at " in complaint
    assert "What is asked for now is not the same." in complaint
    assert len(writes(sandbox, order_id)) == 1

    told = json.loads(order(*other, "--anew", "--json").stdout)
    assert (told["repeated"], told["order"]["captured_amount"]) == (False, 5000)
    assert kept(ledger.redis) == []


def test_it_repeats_nothing_whose_key_klarna_has_forgotten(
    order: RunOrder, sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = sandbox.create_order()
    sandbox.add_fault("reset_after_effect", operation="cancel", times=1)
    order("cancel", order_id, "--yes", exit_code=1)
    monkeypatch.setattr(policy, "IDEMPOTENCY_WINDOW", timedelta(0))
    complaint = error(order("cancel", order_id, "--yes", exit_code=1), 1)
    assert "Klarna has forgotten its key since" in complaint
    assert len(writes(sandbox, order_id)) == 1


@pytest.mark.parametrize("status", [401, 429])
def test_it_keeps_the_key_when_a_repetition_is_not_judged(
    order: RunOrder, ledger: Ledger, sandbox: SandboxControl, status: int
) -> None:
    order_id = sandbox.create_order(amount=12500)
    capture = ("capture", order_id, "60.00", "SEK", "--yes")
    sandbox.add_fault("status", operation="capture", times=1, params={"status": status})
    order(*capture, exit_code=1)
    assert kept(ledger.redis) == []  # the first one: nothing was done
    sandbox.add_fault("reset_after_effect", operation="capture", times=1)
    order(*capture, exit_code=1)
    sandbox.add_fault("status", operation="capture", times=1, params={"status": status})
    order(*capture, exit_code=1)
    assert len(kept(ledger.redis)) == 1
    assert json.loads(order(*capture, "--json").stdout)["order"]["captured_amount"] == 6000


def test_it_reads_no_earlier_write_that_somebody_else_wrote(
    order: RunOrder, ledger: Ledger, sandbox: SandboxControl
) -> None:
    order_id = sandbox.create_order()
    ledger.redis.set(keys.unanswered(PushKey("default", order_id), "cancel"), b"\xff")
    complaint = error(order("cancel", order_id, "--yes", exit_code=1), 1)
    assert "cannot be read" in complaint
    order("cancel", order_id, "--yes", "--anew")
    assert kept(ledger.redis) == []


def test_it_captures_once_although_it_is_killed_in_the_middle(
    redis_url: str, order: RunOrder, ledger: Ledger, sandbox: SandboxControl
) -> None:
    order_id = sandbox.create_order(amount=12500)
    sandbox.add_fault("timeout_after_effect", operation="capture", times=1, params={"hold_s": 30})
    capture = ("capture", order_id, "60.00", "SEK", "--yes")
    script = str(Path(sys.executable).with_name("klarna-ack"))
    env = {"REDIS_URL": redis_url, "LOGNAME": "tester", **environment(sandbox)}
    with subprocess.Popen([script, "order", *capture], cwd=ROOT, env=env) as process:
        poll(lambda: writes(sandbox, order_id))
        process.send_signal(signal.SIGKILL)
    assert [entry and entry.result for entry in audited(ledger.redis)] == [AuditResult.BEGUN]

    told = json.loads(order(*capture, "--json").stdout)
    assert (told["repeated"], told["order"]["captured_amount"]) == (True, 6000)
    assert len({one["idempotency_key"] for one in writes(sandbox, order_id)}) == 1


@pytest.mark.parametrize(
    ("arguments", "method", "path", "body"),
    [
        (("acknowledge",), "POST", "/acknowledge", None),
        (("cancel",), "POST", "/cancel", None),
        (("set-amount", "60.00", "SEK"), "PATCH", "/authorization", {"order_amount": 6000}),
        (
            ("capture", "1.00", "SEK", "--reference", "r"),
            "POST",
            "/captures",
            {"captured_amount": 100, "reference": "r"},
        ),
        (
            ("set-references", "--reference2", ""),
            "PATCH",
            "/merchant-references",
            {"merchant_reference2": ""},
        ),
    ],
)
def test_it_prints_the_request_and_changes_nothing(  # noqa: PLR0913, PLR0917 - a row of the table
    order: RunOrder,
    ledger: Ledger,
    sandbox: SandboxControl,
    arguments: tuple[str, ...],
    method: str,
    path: str,
    body: object,
) -> None:
    order_id = sandbox.create_order()
    action, *rest = arguments
    url = f"{sandbox.url}/ordermanagement/v1/orders/{order_id}{path}"
    told = json.loads(order(action, order_id, *rest, "--dry-run", "--json").stdout)
    assert told == {
        "order_id": order_id,
        "account": "default",
        "method": method,
        "url": url,
        "body": body,
    }
    result = order(action, order_id, *rest, "--dry-run")
    first, _, document = result.stdout.partition("\n")
    assert first == f"{method} {url}"
    assert (json.loads(document) if document else None) == body
    assert result.stderr == "Nothing was sent that changes the order.\n"
    assert writes(sandbox, order_id) == []
    assert ledger.redis.keys() == []


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
@pytest.mark.parametrize(
    "arguments", [("cancel",), ("set-amount", "60.00", "SEK"), ("capture", "60.00", "SEK")]
)
def test_it_asks_before_it_acts(
    order: RunOrder,
    ledger: Ledger,
    sandbox: SandboxControl,
    arguments: tuple[str, ...],
    answer: str,
) -> None:
    order_id = sandbox.create_order(amount=12500)
    action, *rest = arguments
    result = order(action, order_id, *rest, stdin=answer, exit_code=1)
    assert f"{order_id} (AUTHORIZED, 125.00 SEK, reference sandbox-1)" in result.stderr
    assert result.stderr.endswith("Nothing was sent. To act without being asked, add --yes.\n")
    assert writes(sandbox, order_id) == []
    assert ledger.redis.keys() == []


@pytest.mark.parametrize("action", ["set-amount", "capture"])
def test_it_sends_no_amount_in_another_currency(
    order: RunOrder, sandbox: SandboxControl, action: str
) -> None:
    order_id = sandbox.create_order(currency="JPY")
    complaint = error(order(action, order_id, "60.00", "SEK", "--yes", exit_code=1), 1)
    assert (
        "The order is in JPY, not SEK: Klarna takes the number alone and would make 6000 JPY"
        in (complaint)
    )
    assert writes(sandbox, order_id) == []


def test_it_replaces_the_lines_of_an_order(
    order: RunOrder, sandbox: SandboxControl, tmp_path: Path
) -> None:
    order_id = sandbox.create_order()
    lines = tmp_path / "lines.json"
    spade = {"name": "Spade", "quantity": 1, "unit_price": 6000, "total_amount": 6000}
    lines.write_text(json.dumps({"order_lines": [spade]}))
    set_amount = ("set-amount", order_id, "60.00", "SEK", "--lines", str(lines))
    assert "replaced by 1." in order(*set_amount, stdin="y\n").stderr
    shown = json.loads(order("get", order_id, "--json").stdout)["order"]["order_lines"]
    assert [line["name"] for line in shown] == ["Spade"]
    lines.write_text('[{"name": "Spade"}]')
    complaint = error(order(*set_amount, "--yes", exit_code=2), 2)
    assert "--lines: Klarna would not take this:\n  0.quantity: Field required" in complaint


def test_it_refuses_what_is_no_address(order: RunOrder, sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order()
    for text, told in {
        "{": "is no JSON",
        "[]": "give an object with the fields of an address",
        '{"citty": "Uppsala"}': "no field of an address: citty. There are title, given_name",
        '{"city": 17}': "city: Input should be a valid string",
    }.items():
        assert told in error(
            order("set-address", order_id, "--file", "-", stdin=text, exit_code=2), 2
        )
    assert writes(sandbox, order_id) == []


def test_it_acknowledges_nothing_that_is_closed(order: RunOrder, sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order(status="CANCELLED")
    complaint = error(order("acknowledge", order_id, exit_code=1), 1)
    assert complaint == (
        "Error: The order is CANCELLED: there is nothing to acknowledge (the account's"
        " not_needed_states). Nothing was sent.\n"
    )
    assert writes(sandbox, order_id) == []


@pytest.mark.parametrize(("status", "is_acknowledged"), [("CAPTURED", False), ("CANCELLED", True)])
def test_it_acknowledges_what_its_account_wants_acknowledged(
    redis_url: str, sandbox: SandboxControl, tmp_path: Path, status: str, *, is_acknowledged: bool
) -> None:
    sandbox.settings(acknowledge_on_closed="204")
    order_id = sandbox.create_order(status=status)
    env = accounts_that_leave_alone(tmp_path, sandbox, "CAPTURED")
    result = run(redis_url, "order", "acknowledge", order_id, **env)
    assert result.exit_code == (0 if is_acknowledged else 1), result.output
    assert bool(writes(sandbox, order_id)) == is_acknowledged


def test_it_believes_no_answer_about_another_order(
    order: RunOrder, sandbox: SandboxControl
) -> None:
    order_id = sandbox.create_order()
    sandbox.add_fault("wrong_order_id", operation="get_order", times=1)
    complaint = error(order("acknowledge", order_id, exit_code=1), 1)
    assert "Klarna answered with another order" in complaint
    assert writes(sandbox, order_id) == []


def test_it_uses_the_credentials_of_the_account_that_is_named(
    redis_url: str, sandbox: SandboxControl, tmp_path: Path
) -> None:
    sandbox.settings(merchants={"two": "hush"})
    order_id = sandbox.create_order(merchant="two")
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(
        f"[accounts.one]\napi_url = '{sandbox.url}'\nusername = 'sandbox'\npassword = 'sandbox'\n"
        f"[accounts.two]\napi_url = '{sandbox.url}'\nusername = 'two'\npassword = 'hush'\n"
    )
    cancel = ("order", "cancel", order_id, "--yes")
    env = {"ACCOUNTS_FILE": str(accounts)}
    assert "Say which one with --account." in error(run(redis_url, *cancel, **env), 2)
    assert "HTTP 404 NO_SUCH_ORDER" in error(run(redis_url, *cancel, "--account", "one", **env), 1)
    assert "There is no account 'three'" in error(
        run(redis_url, *cancel, "--account", "three", **env), 2
    )
    assert run(redis_url, *cancel, "--account", "two", **env).exit_code == 0


def test_it_needs_the_credentials(redis_url: str) -> None:
    result = run(redis_url, "order", "get", "0c3e1f2a-1111-6222-a333-444455556666")
    assert "KLARNA_PASSWORD: is not set" in error(result, 78)
