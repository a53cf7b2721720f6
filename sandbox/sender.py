"""Keeps the schedule of every order that is pushed, and has the pushes sent. Decides nothing.

What is due comes from the order: an acknowledge or a capture ends the re-sends, an answer never
does. After a jump of the clock everything that fell due is sent, one order's pushes one after the
other.
"""

import time
from heapq import heappop, heappush
from queue import SimpleQueue
from threading import TIMEOUT_MAX, Condition, Thread

from sandbox.orders import PushRecord, StoredOrder
from sandbox.post import post, push_url
from sandbox.world import World

# How many pushes may wait for their answers at the same time; a slow shop holds each for 5 s.
_SENDERS = 64


class PushSender:
    """A thread that keeps the schedule and a few that send. They end with the process."""

    def __init__(self, world: World) -> None:
        self._world = world
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
        with self._world.lock:
            for order in orders:
                at_s = order.next_push_at_s()
                if at_s is not None and self._world.has(order) and not order.awaited:
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
        world = self._world
        template = world.push_url
        if template is None:
            return None
        url, at_s, began = push_url(template, order.order_id), world.clock.now_s(), time.monotonic()
        status = post(url)
        ms = round((time.monotonic() - began) * 1000, 1)
        with world.lock:
            if not world.has(order):
                return None
            sent = PushRecord(world.push_log.next_seq, at_s, order.order_id, url, status, ms)
            world.push_log.add(sent)
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
        wait_s = self._world.clock.real_s_until(self._due[0][0])
        return wait_s if wait_s is None else min(wait_s, TIMEOUT_MAX)

    def _send_ready(self) -> None:
        while True:
            order = self._ready.get()
            if self._take(order):
                self.push(order)
            with self._world.lock:
                order.awaited = False
            self.schedule([order])

    def _take(self, order: StoredOrder) -> bool:
        with self._world.lock:
            if not self._world.has(order) or order.next_push_at_s() is None:
                return False
            order.pushes_taken += 1
        return True
