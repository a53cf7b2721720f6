"""Time limits that end a call, whatever the server does: the missing total limit of requests.

requests limits each wait for bytes, so a server that sends one byte now and then holds a call for
ever. Here one thread per client shuts the socket of a call that has lasted too long; the thread
that waits on it then sees the end of the connection. What this cannot end is the operating
system's name resolution, which has limits of its own.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long one call may take."""

    connect_s: float = 3.0  # for each address of the host, and once more for the TLS handshake
    read_s: float = 10.0  # without a single byte
    total_s: float = 15.0  # headers and body included


DEFAULT_TIME_LIMITS: Final = TimeLimits()


class Deadline:
    """The end of one call's time, and the socket that call waits on."""

    def __init__(self, at_s: float) -> None:
        self.at_s = at_s
        self.has_passed = False
        self._socket: socket.socket | None = None

    def watch(self, sock: socket.socket) -> None:
        """Make `sock` the one to shut; at once when the time is up already."""
        self._socket = sock
        if self.has_passed:
            self._shut()

    def expire(self) -> None:
        """End the call: from now on its reads see the end of the connection."""
        self.has_passed = True
        self._shut()

    def _shut(self) -> None:
        # The plain socket's shutdown: the one of SSLSocket would drop the TLS layer first, and
        # the waiting thread could take ciphertext for the answer. OSError: it is closed already.
        if self._socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


current_deadline: ContextVar[Deadline | None] = ContextVar("current_deadline")


class Deadlines:
    """One thread which ends the calls of one client when their time is up."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._running: dict[Deadline, None] = {}  # all limits are equal, so the oldest ends first
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="klarna-deadlines", daemon=True)
        self._thread.start()

    @contextmanager
    def limit(self) -> Iterator[Deadline]:
        """Limit what this thread does on watched connections inside the block."""
        with self._lock:
            deadline = Deadline(time.monotonic() + self._limit_s)
            self._running[deadline] = None
        token = current_deadline.set(deadline)
        try:
            yield deadline
        finally:
            current_deadline.reset(token)
            with self._lock:
                self._running.pop(deadline, None)

    def close(self) -> None:
        """Stop the thread; calls still running lose their limit, not their answer."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(self._pause_s()):
            with self._lock:
                now_s = time.monotonic()
                due = [deadline for deadline in self._running if deadline.at_s <= now_s]
                for deadline in due:
                    del self._running[deadline]
            for deadline in due:
                deadline.expire()

    def _pause_s(self) -> float:
        """Seconds until the oldest call ends; a call begun meanwhile cannot end sooner."""
        with self._lock:
            oldest = next(iter(self._running), None)
        return self._limit_s if oldest is None else max(0.0, oldest.at_s - time.monotonic())
