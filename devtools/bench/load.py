"""The HTTP load generator: raw asyncio connections, one request at a time on each.

    closed_loop   every connection asks again as soon as it is answered: how much is possible?
    open_loop     requests come at a steady rate, answered or not: how long does one take?

In an open loop a request that finds every connection busy waits, and its wait counts. Each push is
for an order of its own.
"""

import asyncio
import gc
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, cast
from uuid import uuid4

from devtools.bench.testbed import BenchError

# Whatever is not answered by then counts as an error.
_PATIENCE_S = 10.0
_LENGTH = b"content-length: "


@dataclass(frozen=True, slots=True)
class TimedPush:
    """One answered push; times are CLOCK_MONOTONIC."""

    order_id: str
    asked_at: float
    answered_at: float


@dataclass(slots=True)
class Load:
    """What came of it. An error is an answer other than 200, or none."""

    began_at: float = field(default_factory=time.monotonic)
    asked: int = 0
    answered: list[TimedPush] = field(default_factory=list)
    generator_cpu_s: float = 0.0

    @property
    def errors(self) -> int:
        """Pushes that got no 200."""
        return self.asked - len(self.answered)

    def latencies_ms(self, skip_s: float = 0.0) -> list[float]:
        """Return how long each answer took, without those asked for in the first `skip_s`."""
        return [
            (push.answered_at - push.asked_at) * 1000
            for push in self.answered
            if push.asked_at >= self.began_at + skip_s
        ]


class Connection(asyncio.Protocol):
    """A kept-alive connection. `on_free` is called whenever it can take the next push."""

    def __init__(
        self, load: Load, on_free: Callable[["Connection"], None], path: str = "/push"
    ) -> None:
        self._load, self._on_free, self._path = load, on_free, path
        self._received = b""
        self._order_id, self._asked_at = "", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where requests go."""
        self._transport = cast(asyncio.Transport, transport)

    def push(self, asked_at: float) -> None:
        """Push a new order."""
        self._order_id, self._asked_at = str(uuid4()), asked_at
        self._transport.write(
            f"POST {self._path}?klarna_order_id={self._order_id} HTTP/1.1\r\n"
            "Host: 127.0.0.1\r\nContent-Length: 0\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Note the answer when it is complete."""
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < _body_length(head):
            return
        if head.startswith(b"HTTP/1.1 200 "):
            answered = TimedPush(self._order_id, self._asked_at, time.monotonic())
            self._load.answered.append(answered)
        self._received = b""
        self._on_free(self)

    def close(self) -> None:
        """Close at once."""
        self._transport.abort()


class PushTarget(NamedTuple):
    """Where pushes go: a port of this machine, and the path."""

    port: int
    path: str = "/push"


def closed_loop(port: int, *, connections: int, seconds: float) -> Load:
    """Push for some seconds over all connections, each as fast as it is answered."""
    return closed_loop_over([PushTarget(port)], connections=connections, seconds=seconds)


def closed_loop_over(targets: Sequence[PushTarget], *, connections: int, seconds: float) -> Load:
    """Push to several targets, each over its part of the connections."""

    async def run(load: Load) -> None:
        def push_again(connection: Connection) -> None:
            if (now := time.monotonic()) < load.began_at + seconds:
                load.asked += 1
                connection.push(now)

        each = connections // len(targets)
        connected = [
            connection
            for target in targets
            for connection in await _connect(target.port, each, load, push_again, target.path)
        ]
        load.began_at = time.monotonic()
        for connection in connected:
            push_again(connection)
        await asyncio.sleep(seconds)
        await _end(load, connected)

    return _run(run)


def open_loop(
    port: int, *, connections: int, rate: float, seconds: float, path: str = "/push"
) -> Load:
    """Push `rate` times a second, evenly spaced."""

    async def run(load: Load) -> None:
        idle: deque[Connection] = deque()
        late: deque[float] = deque()

        def free(connection: Connection) -> None:
            if late:
                connection.push(late.popleft())
            else:
                idle.append(connection)

        connected = await _connect(port, connections, load, free, path)
        idle.extend(connected)
        load.began_at = time.monotonic()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, load.began_at + number / rate - time.monotonic()))
            load.asked += 1
            if idle:
                idle.popleft().push(time.monotonic())
            else:
                late.append(time.monotonic())
        await _end(load, connected)

    return _run(run)


async def _connect(
    port: int, count: int, load: Load, on_free: Callable[[Connection], None], path: str = "/push"
) -> list[Connection]:
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Connection(load, on_free, path), "127.0.0.1", port)
        for _ in range(count)
    ]
    return [connection for _, connection in made]


async def _end(load: Load, connected: list[Connection]) -> None:
    """Wait for the answers that are missing, then close the connections."""
    deadline = time.monotonic() + _PATIENCE_S
    while load.errors and time.monotonic() < deadline:  # noqa: ASYNC110 - an event would cost each answer
        await asyncio.sleep(0.01)
    for connection in connected:
        connection.close()
    await asyncio.sleep(0)  # in which asyncio closes the sockets


def _run(what: Callable[[Load], Coroutine[None, None, None]]) -> Load:
    load = Load()
    cpu_s = time.process_time()
    with _without_collections():
        asyncio.run(what(load))
    load.generator_cpu_s = time.process_time() - cpu_s
    if not load.answered:
        raise BenchError("no push was answered with 200")
    return load


@contextmanager
def _without_collections() -> Iterator[None]:
    """Keep the garbage collector from stopping the generator: it would look like the server."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _body_length(head: bytes) -> int:
    lower = head.lower()
    start = lower.index(_LENGTH) + len(_LENGTH)
    return int(lower[start:].split(b"\r\n", 1)[0])
