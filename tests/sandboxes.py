"""The sandbox as its own tests use it: in this process, and as a process of its own."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from sandbox.api.dispatch import decide
from sandbox.api.orders import StoredOrder
from sandbox.api.request_log import LoggedCall
from sandbox.clock import MovableClock
from sandbox.serving.answers import ApiAnswer
from sandbox.serving.reading import ApiRequest
from sandbox.settings import SandboxSettings
from sandbox.state import SandboxState

_ROOT = Path(__file__).parent.parent
_TIMEOUT_S = 10
_T = TypeVar("_T")
ORDER_ID = "7849fd84-47dc-2919-a7ce-47b9f461562f"
UNKNOWN_ID = "8849fd84-47dc-2919-a7ce-47b9f461562f"


def basic(username: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{username}:{password}".encode()).decode()}


RIGHT = basic("sandbox", "sandbox")
START_S = 1_700_000_000.0
#: What `SandboxCalls` gives for a call that was not answered.
NO_ANSWER = ApiAnswer(0)


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


class SandboxCalls:
    """Klarna's side in this process, without a socket and on a clock that stands still."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - the fields of SandboxSettings
        clock = MovableClock(lambda: START_S, lambda: 0)
        self.state = SandboxState(SandboxSettings(**settings), clock)
        self.order = self.add(ORDER_ID)

    def add(self, order_id: str, **fields: Any) -> StoredOrder:  # noqa: ANN401 - those of StoredOrder
        order = replace(StoredOrder(order_id, START_S, START_S), **fields)
        self.state.orders[order_id] = order
        return order

    def __call__(
        self,
        what: str = "GET",
        body: object = None,
        *,
        order_id: str = ORDER_ID,
        key: str | None = None,
        credentials: Mapping[str, str] = RIGHT,
    ) -> tuple[ApiAnswer, LoggedCall]:
        """Make a call such as `POST /captures`; `body` is sent as JSON, bytes as they are."""
        method, _, rest = what.partition(" ")
        headers = {name.lower(): value for name, value in credentials.items()}
        headers |= {"user-agent": "tests", "host": "klarna.example"}
        if key is not None:
            headers["klarna-idempotency-key"] = key
        if body is None:
            body = b""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        path = f"/ordermanagement/v1/orders/{order_id}{rest}"
        request = ApiRequest(method, path, "", headers, content, keep_alive=True)
        reply, entry = decide(self.state, request)
        return reply.answer or NO_ANSWER, entry

    def shown(self) -> dict[str, Any]:
        """The order as a GET shows it."""
        shown: dict[str, Any] = json.loads(self()[0].body or b"")
        return shown


def error(answer: ApiAnswer) -> tuple[int, str, list[str]]:
    """Status, code and messages of an error of Klarna's shape."""
    content = json.loads(answer.body or b"")
    assert set(content) == {"error_code", "error_messages", "correlation_id"}
    return answer.status, content["error_code"], content["error_messages"]
