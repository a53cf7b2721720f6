"""A client that nobody here wrote uses the sandbox: @crystallize/node-klarna, from npm.

It has calls of its own for five of ours, and its `invoke` for the others.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from devtools.local.processes import ROOT
from devtools.local.sandbox_control import SandboxControl
from klarna import Operation
from klarna.calls import Call
from tests.klarna_page import CLEARED_REFERENCE, REFUSALS, REQUESTS, PageRefusal

DRIVER = Path(__file__).with_name("node_klarna.cjs")
MODULES = ROOT / ".venv" / "node" / "node_modules"

# Where the client has a call of its own, and how it names it.
NAMED = {
    Operation.GET_ORDER: ("orders", "getOrder"),
    Operation.ACKNOWLEDGE: ("orders", "acknowledge"),
    Operation.UPDATE_MERCHANT_REFERENCES: ("orders", "updateMerchantReference"),
    Operation.CANCEL: ("orders", "cancel"),
    Operation.CAPTURE: ("captures", "capture"),
}

Json = dict[str, Any]


class NodeKlarna:
    """The client in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def call(self, operation: Operation, order_id: str, body: Json | None = None) -> Json:
        """Make a call, and give what the client makes of the answer."""
        if operation in NAMED:
            part, name = NAMED[operation]
            return self._ask(part, name, order_id, *([body] if body else []))
        return self._ask(
            "orders", "invoke", operation.method, Call(operation, order_id).path, body or {}
        )

    def _ask(self, part: str, call: str, *args: object) -> Json:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"part": part, "call": call, "args": args}) + "\n")
        self._process.stdin.flush()
        answer: Json = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def running(sandbox: SandboxControl, password: str) -> Iterator[NodeKlarna]:
    url = urlsplit(sandbox.url)
    command = ["node", str(DRIVER), str(url.hostname), str(url.port), "sandbox", password]
    with subprocess.Popen(
        command,
        env={**os.environ, "NODE_PATH": str(MODULES)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield NodeKlarna(process)
        process.stdin.close()  # type: ignore[union-attr]  # it is a pipe
        assert process.wait(10) == 0


@pytest.fixture
def client(sandbox: SandboxControl) -> Iterator[NodeKlarna]:
    with running(sandbox, "sandbox") as client:
        yield client


def test_it_reads_changes_and_captures_an_order(
    client: NodeKlarna, sandbox: SandboxControl
) -> None:
    order_id = sandbox.create_order(amount=12_500)
    calls = [operation for operation in REQUESTS if operation is not Operation.CANCEL]

    answers = {each: client.call(each, order_id, REQUESTS[each]) for each in calls}

    before, captured = answers.pop(Operation.GET_ORDER), answers.pop(Operation.CAPTURE)
    assert (before["statusCode"], before["response"]["order_amount"]) == (200, 12_500)
    assert captured == {"statusCode": 201, "response": ""}
    assert list(answers.values()) == [{"statusCode": 204, "response": ""}] * 5
    after = client.call(Operation.GET_ORDER, order_id)["response"]
    wanted = {
        **REQUESTS[Operation.UPDATE_MERCHANT_REFERENCES],  # type: ignore[dict-item]  # has a body
        "order_id": order_id,
        "status": "CAPTURED",
        "order_amount": 6000,
        "captured_amount": 6000,
    }
    assert {name: after[name] for name in wanted} == wanted
    assert after["shipping_address"]["city"] == "Ankeborg"
    assert [parcel["tracking_number"] for parcel in after["shipping_info"]] == ["17"]
    assert [line["name"] for line in after["order_lines"]] == ["Pears"]
    seen = sandbox.requests(order_id)
    assert [one["operation"] for one in seen] == [*calls, Operation.GET_ORDER]
    assert sandbox.order(order_id)["acknowledged"]


def test_it_clears_a_reference(client: NodeKlarna, sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order()
    call = Operation.UPDATE_MERCHANT_REFERENCES
    assert client.call(call, order_id, CLEARED_REFERENCE)["statusCode"] == 204
    assert client.call(Operation.GET_ORDER, order_id)["response"]["merchant_reference1"] == ""


def test_it_cancels_an_order(client: NodeKlarna, sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order()
    assert client.call(Operation.CANCEL, order_id) == {"statusCode": 204, "response": ""}
    assert client.call(Operation.GET_ORDER, order_id)["response"]["status"] == "CANCELLED"


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda each: f"{each.operation} {each.status}")
def test_it_is_refused_as_klarna_says(
    client: NodeKlarna, sandbox: SandboxControl, refusal: PageRefusal
) -> None:
    order_id = refusal.find_order(sandbox)
    body = refusal.body or REQUESTS[refusal.operation]

    answer = client.call(refusal.operation, order_id, body)

    assert answer == {
        "statusCode": refusal.status,
        "error": {
            "error_code": refusal.error_code,
            "error_messages": [refusal.message],
            "correlation_id": sandbox.requests()[-1]["correlation_id"],
        },
    }


def test_it_meets_a_page_when_its_password_is_wrong(sandbox: SandboxControl) -> None:
    with running(sandbox, "not-the-password") as client:
        answer = client.call(Operation.GET_ORDER, sandbox.create_order())
    assert answer["statusCode"] == 401
    assert answer["error"].startswith("<html>")
