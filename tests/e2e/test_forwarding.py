"""Pushes that are forwarded to a plugin: through a real web process and worker, to its double."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from redis import Redis

from devtools.local.processes import Processes, Web, Worker, poll
from devtools.local.sandbox_control import SandboxControl
from pushes.model import Push, PushKey, State
from pushes.store import keys, records

TOKEN = "token-of-ours-0f31"


@dataclass(frozen=True)
class PluginShape:
    """Where a plugin takes pushes, and how Klarna's is written to the account of it."""

    account: str
    url: str
    pushed: str
    path: str
    query: str


SHAPES = [
    PluginShape(
        "woocommerce",
        "/plugin/?wc-api=KCO_WC_Push",
        "?klarna_order_id={}&kco-external-payment=1",
        "/plugin/",
        "wc-api=KCO_WC_Push&klarna_order_id={}&kco-external-payment=1",
    ),
    PluginShape(
        "older-woocommerce",
        "/plugin/wc-api/KCO_WC_Push/",
        "?kco_wc_order_id={}",
        "/plugin/wc-api/KCO_WC_Push/",
        "kco_wc_order_id={}",
    ),
    PluginShape(
        "magento",
        "/plugin/{path}",
        "/checkout/klarna/push/id/{}?store=2",
        "/plugin/checkout/klarna/push/id/{}",
        "store=2",
    ),
    PluginShape(
        "drupal",
        "/plugin/{path}",
        "/commerce/17/push?checkout_uri=https%3A%2F%2Fapi.example%2Forders%2F{}",
        "/plugin/commerce/17/push",
        "checkout_uri=https%3A%2F%2Fapi.example%2Forders%2F{}",
    ),
    PluginShape(
        "optimizely",
        "/plugin/klarnacheckout/{path}/push",
        "/1042?klarna_order_id={}",
        "/plugin/klarnacheckout/1042/push",
        "klarna_order_id={}",
    ),
    PluginShape(
        "in-the-middle",
        "/plugin/{path}?store=1",
        "/klarna/{}/push?a=1",
        "/plugin/klarna/{}/push",
        "store=1&a=1",
    ),
    PluginShape(
        "by-session", "/plugin/push.php", "?sid={}&lang=sv", "/plugin/push.php", "sid={}&lang=sv"
    ),
    PluginShape("by-path", "/plugin/kco/{order_id}", "/{}", "/plugin/kco/{}", ""),
]


@dataclass(frozen=True)
class Forwarding:
    web: Web
    worker: Worker
    sandbox: SandboxControl
    redis: Redis

    def push(self, account: str, order_id: str, pushed: str) -> None:
        url = f"{self.web.url}/push/{account}{pushed.format(order_id)}"
        url += f"{'&' if '?' in url else '?'}token={TOKEN}"
        requests.post(url, timeout=10).raise_for_status()

    def acknowledged(self, account: str, order_id: str) -> Push:
        def settled() -> Push | None:
            push = records.get(self.redis, PushKey(account, order_id))
            return push if push and push.state is State.ACKNOWLEDGED else None

        return poll(settled, 20, f"{account}: {order_id} is not acknowledged")


@pytest.fixture
def forwarding(
    processes: Processes, sandbox: SandboxControl, redis_client: Redis, tmp_path: Path
) -> Forwarding:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(
        "\n".join(
            f"""
            [accounts.{shape.account}]
            api_url = "{sandbox.url}"
            username = "sandbox"
            password = "sandbox"
            rate_per_s = 1000
            [accounts.{shape.account}.hand_over]
            style = "forward"
            url = "{sandbox.url}{shape.url}"
            allow_private = true
            """
            for shape in SHAPES
        )
        + f"""
            [accounts.signed]
            api_url = "{sandbox.url}"
            username = "sandbox"
            password = "sandbox"
            """
    )
    for name in ("KLARNA_API_URL", "KLARNA_USERNAME", "KLARNA_PASSWORD"):
        processes.env.pop(name, None)
    env = {"ACCOUNTS_FILE": str(accounts), "PUSH_TOKEN": TOKEN}
    worker = processes.worker(**env)
    worker.wait_ready()
    web = processes.web(**env).wait_ready()
    return Forwarding(web, worker, sandbox, redis_client)


def test_every_plugin_gets_its_push_as_klarna_sent_it_without_our_token(
    forwarding: Forwarding,
) -> None:
    sandbox = forwarding.sandbox
    pushed = {shape: sandbox.create_order() for shape in SHAPES}
    for shape, order_id in pushed.items():
        forwarding.push(shape.account, order_id, shape.pushed)

    for shape, order_id in pushed.items():
        push = forwarding.acknowledged(shape.account, order_id)
        assert push.push_target is None
        (call,) = sandbox.plugin_calls(order_id)
        assert (call["method"], call["path"], call["query"], call["body"]) == (
            "POST",
            shape.path.format(order_id),
            shape.query.format(order_id),
            "",
        )
        assert (call["read"], call["acknowledged"], call["status"]) == (200, 204, 200)
    logged = forwarding.web.log + forwarding.worker.log
    assert TOKEN not in logged
    assert "kco-external-payment" not in logged


def test_it_goes_on_with_what_the_push_brought_when_the_plugin_was_away(
    forwarding: Forwarding,
) -> None:
    sandbox, shape = forwarding.sandbox, SHAPES[2]
    sandbox.add_fault("status", operation="plugin", times=1, params={"status": 503})
    order_id = sandbox.create_order()
    forwarding.push(shape.account, order_id, shape.pushed)

    forwarding.acknowledged(shape.account, order_id)

    assert [
        (call["path"], call["query"], call["status"]) for call in sandbox.plugin_calls(order_id)
    ] == [(shape.path.format(order_id), shape.query, status) for status in (503, 200)]


def test_an_account_that_forwards_nothing_keeps_nothing_and_knows_no_other_path(
    forwarding: Forwarding,
) -> None:
    order_id = forwarding.sandbox.create_order()
    forwarding.push("signed", order_id, "?klarna_order_id={}&more=1")
    forwarding.acknowledged("signed", order_id)

    stored = forwarding.redis.dump(keys.record(PushKey("signed", order_id)))
    assert isinstance(stored, bytes)
    assert b"more" not in stored
    answer = requests.post(
        f"{forwarding.web.url}/push/signed/some/path?klarna_order_id={order_id}&token={TOKEN}",
        timeout=10,
    )
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_it_takes_a_push_whose_url_cannot_be_passed_on(forwarding: Forwarding) -> None:
    order_id, shape = forwarding.sandbox.create_order(), SHAPES[0]
    forwarding.push(shape.account, order_id, "?klarna_order_id={}&more=" + 1024 * "x")

    forwarding.acknowledged(shape.account, order_id)

    (call,) = forwarding.sandbox.plugin_calls(order_id)
    assert call["query"] == f"wc-api=KCO_WC_Push&klarna_order_id={order_id}"
    assert "push.not_forwardable" in forwarding.web.log
    assert "xxxx" not in forwarding.web.log


def test_a_plugin_is_not_called_elsewhere_for_want_of_a_path(forwarding: Forwarding) -> None:
    order_id = forwarding.sandbox.create_order()
    key = PushKey("magento", order_id)
    forwarding.push("magento", order_id, "?klarna_order_id={}")

    def failed() -> Push | None:
        push = records.get(forwarding.redis, key)
        return push if push and push.state is State.RETRYING else None

    push = poll(failed, 20)
    assert push.last_error == "the push brought no path, and the url of hand_over wants one: {path}"
    assert forwarding.sandbox.plugin_calls(order_id) == []
