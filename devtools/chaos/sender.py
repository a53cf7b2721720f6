"""Pushes each order until it is answered 200, and logs what it was answered.

Like a proxy in front of two web processes: a push that one does not answer goes to the other. Once
an order got its 200 it is never pushed again, so that a push lost after its 200 stays lost.
"""

import heapq
import threading
import time
from collections.abc import Sequence
from itertools import count
from typing import Self

import requests

from devtools.chaos.orders import ChaosOrder, is_pushed_by_sandbox
from devtools.chaos.result import SenderLog

_THREADS = 8
# Klarna's push client has been seen giving up after 5 s.
_PATIENCE_S = 5.0
# A proxy tries the next upstream at once; after a 503 nobody is in a hurry.
_AFTER_NO_ANSWER_S = 0.1
_AFTER_503_S = 0.5
_OK, _UNAVAILABLE = 200, 503


class ChaosSender:
    """Starts with `with`, ends with it; what is not yet due by then is not sent."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.log = SenderLog()
        self._urls = urls
        self._began = time.monotonic()
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, str, int]] = []
        self._numbers = count()
        self._under_way = 0
        self._ended = False
        self._threads = [threading.Thread(target=self._send_due) for _ in range(_THREADS)]

    def send(self, orders: list[ChaosOrder]) -> None:
        """Push the orders at their times, counted from the making of this sender."""
        for order in orders:
            if not is_pushed_by_sandbox(order):
                for _ in range(1 + order.is_pushed_twice):
                    self._plan(self._began + order.at_s, order.order_id, 0)

    def stop(self) -> set[str]:
        """Push no order that was not pushed before; return the ids of those that were."""
        with self._changed:
            self._due = [due for due in self._due if due[2] in self.log.first_sent]
            heapq.heapify(self._due)
            return set(self.log.first_sent)

    @property
    def is_idle(self) -> bool:
        """Whether every push has got its 200."""
        with self._changed:
            return not self._due and not self._under_way

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _plan(self, at: float, order_id: str, tries: int) -> None:
        with self._changed:
            heapq.heappush(self._due, (at, next(self._numbers), order_id, tries))
            self._changed.notify()

    def _send_due(self) -> None:
        while (due := self._take()) is not None:
            order_id, tries = due
            url = self._urls[(int(order_id[-1], 16) + tries) % len(self._urls)]
            again_after_s = self._push(order_id, url)
            if again_after_s is not None:
                self._plan(time.monotonic() + again_after_s, order_id, tries + 1)
            with self._changed:
                self._under_way -= 1

    def _take(self) -> tuple[str, int] | None:
        with self._changed:
            while not self._ended:
                wait_s = self._due[0][0] - time.monotonic() if self._due else None
                if wait_s is not None and wait_s <= 0:
                    self._under_way += 1
                    _, _, order_id, tries = heapq.heappop(self._due)
                    self.log.first_sent.setdefault(order_id, time.time())
                    return order_id, tries
                self._changed.wait(wait_s)
            return None

    def _push(self, order_id: str, url: str) -> float | None:
        """Push once; say after how many seconds it is to be pushed again, None for never."""
        began = time.monotonic()
        status = _post(f"{url}/push?klarna_order_id={order_id}")
        took_s = time.monotonic() - began
        with self._changed:
            log = self.log
            log.answers[str(status or "no answer")] += 1
            if status is not None:
                log.slowest_answer_s = max(log.slowest_answer_s, took_s)
            if status == _OK:
                log.accepted.setdefault(order_id, time.time())
            elif status not in {None, _UNAVAILABLE}:
                log.wrong.append(f"{order_id}: {status}")
            elif order_id not in log.accepted:
                return _AFTER_503_S if status else _AFTER_NO_ANSWER_S
            return None


def _post(url: str) -> int | None:
    try:
        return requests.post(url, timeout=_PATIENCE_S).status_code
    except requests.RequestException:
        return None
