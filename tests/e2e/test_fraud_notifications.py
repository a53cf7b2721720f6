"""Fraud notifications from Klarna's side to the timeline, through a real web process and worker."""

from pathlib import Path

import pytest
import requests
from redis import Redis

from devtools.local.processes import Processes, Web, poll
from devtools.local.sandbox_control import SandboxControl
from pushes.model import Push, PushKey, Reason, State
from pushes.store import records

ACCEPTED, STOPPED = "FRAUD_RISK_ACCEPTED", "FRAUD_RISK_STOPPED"


@pytest.fixture
def web(processes: Processes) -> Web:
    processes.worker(RETRY_DELAYS_S="0.2,0.2").wait_ready()
    return processes.web().wait_ready()


def events(redis: Redis, key: PushKey) -> list[str]:
    return [entry.event for entry in records.timeline(redis, key)]


def wait_for(redis: Redis, key: PushKey, state: State) -> Push:
    def settled() -> Push | None:
        push = records.get(redis, key)
        return push if push and push.state is state and not push.worker else None

    return poll(settled, 20, f"{key.order_id} is not {state}")


def test_it_verifies_what_klarna_decided_after_the_acknowledge(
    web: Web, sandbox: SandboxControl, redis_client: Redis
) -> None:
    order_id = sandbox.create_order(fraud_status="PENDING")
    key = PushKey("default", order_id)
    requests.post(web.push_url + order_id, timeout=10)
    wait_for(redis_client, key, State.ACKNOWLEDGED)

    sandbox.change_order(order_id, fraud_status="ACCEPTED")
    assert sandbox.notify(order_id, ACCEPTED, f"{web.url}/notification") == 200

    poll(lambda: "fraud_accepted" in events(redis_client, key), 20)
    push = wait_for(redis_client, key, State.ACKNOWLEDGED)
    assert (push.fraud_event, push.only_notified) == (None, False)
    assert push.order.fraud_status == "ACCEPTED"
    assert sandbox.order(order_id)["acknowledge_effects"] == 1
    assert [one["operation"] for one in sandbox.requests(order_id)] == [
        "get_order",
        "acknowledge",
        "get_order",
    ]


def test_it_acknowledges_nothing_that_was_never_pushed_until_it_is(
    web: Web, sandbox: SandboxControl, redis_client: Redis
) -> None:
    order_id = sandbox.create_order(fraud_status="STOPPED")
    key = PushKey("default", order_id)
    assert sandbox.notify(order_id, STOPPED, f"{web.url}/notification") == 200

    push = wait_for(redis_client, key, State.NOT_NEEDED)
    assert push.acknowledged_at is None
    assert events(redis_client, key) == ["notified", "call", "fraud_stopped"]
    assert not sandbox.order(order_id)["acknowledged"]

    requests.post(web.push_url + order_id, timeout=10)
    wait_for(redis_client, key, State.ACKNOWLEDGED)
    assert sandbox.order(order_id)["acknowledged"]


def test_it_looks_again_when_klarna_shows_something_else_and_leaves_it_to_an_operator(
    web: Web, sandbox: SandboxControl, redis_client: Redis
) -> None:
    order_id = sandbox.create_order(fraud_status="REJECTED")
    key = PushKey("default", order_id)
    assert sandbox.notify(order_id, ACCEPTED, f"{web.url}/notification") == 200

    push = wait_for(redis_client, key, State.DEAD)
    assert (push.reason, push.last_error) == (
        Reason.FRAUD_MISMATCH,
        f"the notification says {ACCEPTED}, Klarna shows REJECTED",
    )
    calls = [one["operation"] for one in sandbox.requests(order_id)]
    assert calls == ["get_order"] * 3


def test_it_hands_what_klarna_decided_over_to_the_shop(
    processes: Processes, sandbox: SandboxControl, redis_client: Redis, tmp_path: Path
) -> None:
    secret = sandbox.settings()["receiver_secret"]
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(
        f'[accounts.shop]\napi_url = "{sandbox.url}"\nusername = "sandbox"\n'
        'password = "sandbox"\n[accounts.shop.hand_over]\n'
        f'url = "{sandbox.url}/receiver/orders"\nsecret = "{secret}"\nallow_private = true\n'
    )
    for name in ("KLARNA_API_URL", "KLARNA_USERNAME", "KLARNA_PASSWORD"):
        processes.env.pop(name, None)
    processes.worker(ACCOUNTS_FILE=str(accounts)).wait_ready()
    web = processes.web(ACCOUNTS_FILE=str(accounts)).wait_ready()
    order_id = sandbox.create_order(fraud_status="PENDING")
    key = PushKey("shop", order_id)
    requests.post(f"{web.url}/push/shop/{order_id}", timeout=10).raise_for_status()
    wait_for(redis_client, key, State.ACKNOWLEDGED)

    sandbox.change_order(order_id, fraud_status="REJECTED")
    assert sandbox.notify(order_id, "FRAUD_RISK_REJECTED", f"{web.url}/notification/shop") == 200

    poll(lambda: "fraud_rejected" in events(redis_client, key), 20)
    sent = sandbox.received(order_id)
    assert [(one["type"], one["verified"]) for one in sent] == [
        ("order.verified", True),
        ("fraud.rejected", True),
    ]
    push = wait_for(redis_client, key, State.ACKNOWLEDGED)
    assert push.handed_over_at
    assert push.decision_handed_over_at
    assert sandbox.order(order_id)["acknowledge_effects"] == 1
