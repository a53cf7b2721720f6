"""A Klarna that costs next to nothing: an order for a GET, 204 for a POST, after a set latency.

`python -m devtools.bench.fake_klarna` listens on a free port of 127.0.0.1 and prints it. It
speaks just enough HTTP/1.1: connections are kept alive, requests have no body. What it counts is
what the report believes, whoever claims otherwise. Steered over the same port:

    POST /bench/latency/MS     hold each call this long from now on
    POST /bench/forget         begin to count anew
    GET  /bench/counts         {"at", "gets", "acknowledged", "held_s"}; `at` is CLOCK_MONOTONIC
    GET  /bench/acknowledged   {order id: when it was answered for the first time}
"""

import asyncio
import gc
import json
import sys
import time
from dataclasses import dataclass, field
from typing import cast

from devtools.bench.fake_klarna.order import order_json

# Klarna's answers carry about this much besides the body.
_HEADERS = (
    b"Content-Type: application/json\r\n"
    b"Cache-Control: no-cache, no-store, must-revalidate\r\n"
    b"Klarna-Correlation-Id: a1da5a00-9b22-4410-802c-57e8cc116128\r\n"
    b"Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Date: Sun, 01 Mar 2026 12:00:00 GMT\r\n"
)
_OK = b"HTTP/1.1 200 OK\r\n" + _HEADERS + b"Content-Length: %d\r\n\r\n"
_NO_CONTENT = b"HTTP/1.1 204 No Content\r\n" + _HEADERS + b"\r\n"


@dataclass(slots=True)
class CallLog:
    """What was asked for so far, and how long calls are held."""

    latency_s: float = 0.0
    gets: int = 0
    held_s: float = 0.0
    acknowledged: dict[str, float] = field(default_factory=dict)

    def steer(self, path: str) -> bytes:
        """Do what a path under /bench/ asks for; return the body of the answer."""
        match path.split("/")[2:]:
            case ["latency", milliseconds]:
                self.latency_s = float(milliseconds) / 1000
            case ["forget"]:
                self.gets, self.held_s = 0, 0.0
                self.acknowledged.clear()
            case ["acknowledged"]:
                return json.dumps(self.acknowledged).encode()
        counts = {
            "at": time.monotonic(),
            "gets": self.gets,
            "acknowledged": len(self.acknowledged),
            "held_s": self.held_s,
        }
        return json.dumps(counts).encode()


class Conversation(asyncio.Protocol):
    """One connection."""

    def __init__(self, log: CallLog) -> None:
        self._log = log
        self._received = b""
        self._later = asyncio.get_running_loop().call_later

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer each request whose head is complete."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            method, path, _version = self._received.split(b"\r\n", 1)[0].decode().split(" ")
            self._received = self._received[end + 4 :]
            self._answer(method, path)

    def _answer(self, method: str, path: str) -> None:
        if path.startswith("/bench/"):
            body = self._log.steer(path)
            self._transport.write(_OK % len(body) + body)
        elif self._log.latency_s:
            self._later(self._log.latency_s, self._serve, method, path, time.monotonic())
        else:
            self._serve(method, path, time.monotonic())

    def _serve(self, method: str, path: str, since: float) -> None:
        now = time.monotonic()
        self._log.held_s += now - since
        if method == "GET":
            body = order_json(path.rpartition("/")[2])
            self._transport.write(_OK % len(body) + body)
            self._log.gets += 1
        else:
            self._transport.write(_NO_CONTENT)
            self._log.acknowledged.setdefault(path.split("/")[-2], now)


async def _serve_until_stopped() -> None:
    log = CallLog()
    server = await asyncio.get_running_loop().create_server(
        lambda: Conversation(log), "127.0.0.1", 0, backlog=1000
    )
    sys.stdout.write(f"listening port={server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    gc.disable()  # nothing here is circular, and a collection would be charged to who waits
    asyncio.run(_serve_until_stopped())
