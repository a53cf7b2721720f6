"""The sandbox as a process: started, asked, stopped. The other sandbox tests use what is here."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest

_ROOT = Path(__file__).parent.parent.parent
_TIMEOUT_S = 10
_T = TypeVar("_T")
UNKNOWN_ID = "8849fd84-47dc-2919-a7ce-47b9f461562f"


def basic(username: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{username}:{password}".encode()).decode()}


RIGHT = basic("sandbox", "sandbox")


def wait_for(predicate: Callable[[], _T | None], timeout_s: float = 5) -> _T:
    """Ask until the answer is true; fail at the deadline."""
    deadline = time.monotonic() + timeout_s
    while not (answer := predicate()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s; last answer: {answer!r}"
        time.sleep(0.01)
    return answer


@dataclass
class RawAnswer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON, given its type by the test
        return json.loads(self.body)


class RunningSandbox:
    """`python -m sandbox` on a free port."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "sandbox", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        self.url = self.line.strip().rpartition("url=")[2]
        self.address = (urlsplit(self.url).hostname or "", urlsplit(self.url).port or 0)

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] = RIGHT
    ) -> RawAnswer:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection(*self.address, timeout=_TIMEOUT_S)
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(method, path, content, dict(headers))
            answer = connection.getresponse()
            return RawAnswer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def control(self, method: str, path: str, body: object = None, status: int = 200) -> Any:  # noqa: ANN401 - JSON, given its type by the test
        """Make a control call that answers with `status`; gives its JSON."""
        answer = self.ask(method, f"/_control/{path}", body, {})
        assert answer.status == status, f"{method} {path} → {answer.status}: {answer.body!r}"
        return answer.json()

    def new_order(self, **fields: object) -> str:
        (order_id,) = self.control("POST", "orders", fields, status=201)["order_ids"]
        return str(order_id)

    def get(self, order_id: str) -> RawAnswer:
        return self.ask("GET", f"/ordermanagement/v1/orders/{order_id}")

    def acknowledge(self, order_id: str, key: str | None = None) -> RawAnswer:
        headers = RIGHT | ({} if key is None else {"Klarna-Idempotency-Key": key})
        path = f"/ordermanagement/v1/orders/{order_id}/acknowledge"
        return self.ask("POST", path, b"", headers)

    def raw(self, order_id: str, rest: str = "", method: str = "GET") -> socket.socket:
        """Send a request by hand; the answer is to be read off the socket."""
        sock = socket.create_connection(self.address, timeout=_TIMEOUT_S)
        path = f"/ordermanagement/v1/orders/{order_id}{rest}"
        lines = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {RIGHT['Authorization']}"
        sock.sendall(f"{lines}\r\nContent-Length: 0\r\n\r\n".encode())
        return sock

    def last_request(self, order_id: str) -> dict[str, Any]:
        last: dict[str, Any] = self.control("GET", f"requests?order_id={order_id}")[-1]
        return last

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it and give its exit code."""
        with self.process as process:
            process.send_signal(number)
            return process.wait(_TIMEOUT_S)


def running(*arguments: str) -> Iterator[RunningSandbox]:
    """Start one, hand it out, stop it: the body of a fixture."""
    sandbox = RunningSandbox(*arguments)
    yield sandbox
    assert sandbox.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_well(number: signal.Signals) -> None:
    sandbox = RunningSandbox()

    health = sandbox.control("GET", "healthz")
    exit_code = sandbox.stop(number)

    assert sandbox.line == f"sandbox listening url=http://127.0.0.1:{sandbox.address[1]}\n"
    assert (health, exit_code) == ({"status": "ok"}, 0)


def test_it_ends_at_once_with_clients_on_hold() -> None:
    sandbox = RunningSandbox()
    order_id = sandbox.new_order()
    fault = {"fault": "timeout_before_effect", "params": {"hold_s": 600}}
    sandbox.control("POST", "faults", fault, status=201)

    with sandbox.raw(order_id):
        wait_for(lambda: sandbox.control("GET", "requests"))
        began = time.monotonic()
        exit_code = sandbox.stop()

    assert exit_code == 0
    assert time.monotonic() - began < 5


def test_it_takes_credentials_as_arguments() -> None:
    for sandbox in running("--username", "me", "--password", "s:ecret"):
        path = f"/ordermanagement/v1/orders/{sandbox.new_order()}"

        assert sandbox.ask("GET", path, headers=basic("me", "s:ecret")).status == 200
        assert sandbox.ask("GET", path).status == 401


def test_it_checks_no_credentials_when_told_so() -> None:
    for sandbox in running("--no-auth-check"):
        path = f"/ordermanagement/v1/orders/{sandbox.new_order()}"

        assert sandbox.ask("GET", path, headers={}).status == 200


def test_it_says_why_it_cannot_listen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "sandbox", "--port", port]
        ended = subprocess.run(
            command, cwd=_ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )

    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"sandbox.cannot_listen port={port}" in ended.stderr
