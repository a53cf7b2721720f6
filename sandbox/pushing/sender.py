"""Keeps the schedule of every order that is pushed, and has the pushes sent. Decides nothing.

What is due comes from the order: an acknowledge or a capture ends the re-sends, an answer never
does. After a jump of the clock everything that fell due is sent, one order's pushes one after the
other.
"""

import http.client
import time
from heapq import heappop, heappush
from queue import SimpleQueue
from threading import TIMEOUT_MAX, Condition, Thread
from urllib.parse import urlsplit

from sandbox.api.orders import StoredOrder
from sandbox.pushing.schedule import PushRecord
from sandbox.state import SandboxState

# How many pushes may wait for their answers at the same time; a slow shop holds each for 5 s.
_SENDERS = 64
# Klarna's push client has been seen giving up after about 5 s (code).
TIMEOUT_S = 5
_PLACEHOLDERS = ("{checkout.order.id}", "{order.id}")


class PushSender:
    """A thread that keeps the schedule and a few that send. They end with the process."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self._due: list[tuple[float, int, StoredOrder]] = []
        self._added = 0
        self._changed = Condition()
        self._ready: SimpleQueue[StoredOrder] = SimpleQueue()

    def start(self) -> None:
        """Start the threads."""
        for target in (self._keep_schedule, *[self._send_ready] * _SENDERS):
            Thread(target=target, daemon=True).start()

    def schedule(self, orders: list[StoredOrder]) -> None:
        """Wait for the next push of each that has one left and is not waited for already."""
        due = []
        with self._state.lock:
            for order in orders:
                at_s = order.next_push_at_s()
                if at_s is not None and self._state.has(order) and not order.awaited:
                    order.awaited = True
                    due.append((at_s, order))
        with self._changed:
            for at_s, order in due:
                self._added += 1
                heappush(self._due, (at_s, self._added, order))
            self._changed.notify()

    def look_again(self, *, forget: bool = False) -> None:
        """Reckon with a clock that was moved, or (`forget`) with orders that are gone."""
        with self._changed:
            if forget:
                self._due.clear()
            self._changed.notify()

    def push(self, order: StoredOrder) -> PushRecord | None:
        """Send one push now and wait for its answer, at most about 5 s.

        Gives None, and counts nothing, when there is nowhere to push to or a reset came between.
        """
        state = self._state
        template = order.push_url or state.push_url
        if template is None:
            return None
        url, at_s, began = push_url(template, order.order_id), state.clock.now_s(), time.monotonic()
        status = post(url)
        ms = round((time.monotonic() - began) * 1000, 1)
        with state.lock:
            if not state.has(order):
                return None
            sent = PushRecord(state.push_log.next_seq, at_s, order.order_id, url, status, ms)
            state.push_log.add(sent)
            order.pushes.append(sent)
        return sent

    def _keep_schedule(self) -> None:
        while True:
            with self._changed:
                while (wait_s := self._wait_s()) != 0:
                    self._changed.wait(wait_s)
                order = heappop(self._due)[2]
            self._ready.put(order)

    def _wait_s(self) -> float | None:
        if not self._due:
            return None
        wait_s = self._state.clock.real_s_until(self._due[0][0])
        return wait_s if wait_s is None else min(wait_s, TIMEOUT_MAX)

    def _send_ready(self) -> None:
        while True:
            order = self._ready.get()
            if self._take(order):
                self.push(order)
            with self._state.lock:
                order.awaited = False
            self.schedule([order])

    def _take(self, order: StoredOrder) -> bool:
        with self._state.lock:
            if not self._state.has(order) or order.next_push_at_s() is None:
                return False
            order.pushes_taken += 1
        return True


def push_url(template: str, order_id: str) -> str:
    """Put the order id where Klarna puts it: both placeholders (doc)."""
    for placeholder in _PLACEHOLDERS:
        template = template.replace(placeholder, order_id)
    return template


def post(url: str, body: bytes | None = None) -> int | None:
    """Send a push, or a notification with its JSON; the status it was answered with.

    None when no answer came within 5 s.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    target = parts._replace(scheme="", netloc="", fragment="", path=parts.path or "/").geturl()
    try:
        headers = {"User-Agent": "klarna-sandbox"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request("POST", target, body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException, UnicodeError):
        return None  # UnicodeError: a host name that cannot be one
    finally:
        connection.close()
