"""Time limits that end a call, whatever the network does: the total limit that requests lacks.

requests limits each wait for bytes, so a server that sends one byte now and then holds a call for
ever. Here one thread of the process shuts the socket of a call that has lasted too long; the
thread that waits on it then sees the end of the connection. Where there is no socket yet, because
a name is being looked up or a connection made, `klarna.connections` waits no longer than is left.
"""

import heapq
import itertools
import os
import socket
import threading
import time
from contextlib import suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Final, Self


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long one call may take."""

    connect_s: float = 3.0  # for each address of the host
    read_s: float = 10.0  # without a single byte
    total_s: float = 15.0  # from looking up the host's name to the last byte of the answer


DEFAULT_TIME_LIMITS: Final = TimeLimits()


class Deadline:
    """The end of one call's time: what runs inside `with` is over `limit_s` later, or soon after.

    Inside, `current_deadline` is it, and connections tell it which socket the call waits on.
    """

    def __init__(self, limit_s: float) -> None:
        self.at_s = time.monotonic() + limit_s
        self.has_passed = False
        self.is_over = False
        self._socket: socket.socket | None = None
        self._token: Token[Deadline] | None = None

    @property
    def left_s(self) -> float:
        """Seconds until the time is up; never negative."""
        return max(0.0, self.at_s - time.monotonic())

    def watch(self, sock: socket.socket) -> None:
        """Make `sock` the one to shut; at once when the time is up already."""
        with _watcher.lock:
            self._socket = sock
            if self.has_passed:
                shut(sock)

    def expire(self) -> None:
        """End the call: from now on its reads see the end of the connection. Needs the lock."""
        self.has_passed = True
        if self._socket is not None:
            shut(self._socket)

    def __enter__(self) -> Self:
        _watcher.add(self)
        self._token = current_deadline.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token:
            current_deadline.reset(self._token)
        with _watcher.lock:  # afterwards the socket is another call's
            self.is_over, self._socket = True, None


current_deadline: ContextVar[Deadline] = ContextVar("current_deadline")


def shut(sock: socket.socket) -> None:
    """End the connection for whoever waits on it, and for the pool, which then drops it.

    By the plain socket's method: SSLSocket's own would first forget the TLS layer, and the
    waiting thread could take ciphertext for the answer.
    """
    with suppress(OSError):  # closed already
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Watcher:
    """The thread that ends calls; started by the first one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._changed = threading.Condition(self.lock)
        self._numbers = itertools.count()
        self._heap: list[tuple[float, int, Deadline]] = []  # calls that are over stay a while
        self._thread: threading.Thread | None = None

    def add(self, deadline: Deadline) -> None:
        entry = (deadline.at_s, next(self._numbers), deadline)
        with self.lock:
            if self._thread is None:
                thread = threading.Thread(target=self._watch, name="klarna-deadlines", daemon=True)
                thread.start()
                self._thread = thread
            heapq.heappush(self._heap, entry)
            if self._heap[0] is entry:
                self._changed.notify()

    def _watch(self) -> None:
        with self.lock:
            while True:
                self._changed.wait(self._expire_due())

    def _expire_due(self) -> float | None:
        """End what is due; return how many seconds there are until the next one."""
        while self._heap:
            left_s = self._heap[0][2].left_s
            if left_s and not self._heap[0][2].is_over:
                return left_s
            _, _, deadline = heapq.heappop(self._heap)
            if not deadline.is_over:
                deadline.expire()
        return None


_watcher = _Watcher()


def _begin_anew() -> None:
    """Forget a thread that only the parent process has."""
    global _watcher  # noqa: PLW0603 - it is the process's, and this is another process
    _watcher = _Watcher()


os.register_at_fork(after_in_child=_begin_anew)
