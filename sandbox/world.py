"""Everything the sandbox knows, under one lock. Decides nothing itself.

One lock makes the log, the orders and the first answers agree at any moment: a call is decided and
logged in one step, before a byte of its answer is sent.
"""

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

from sandbox.clock import MovableClock
from sandbox.faults import Faults
from sandbox.idempotency import FirstAnswers
from sandbox.journal import JournalEntry
from sandbox.limits import RateLimit
from sandbox.numbered import NumberedLog
from sandbox.orders import PushRecord, StoredOrder
from sandbox.settings import SandboxSettings


class World:
    """The state. Read and change it while holding `lock`; `settings` may be read without."""

    def __init__(self, settings: SandboxSettings, clock: MovableClock) -> None:
        self.lock = Lock()
        self.clock = clock
        self.push_url: str | None = None
        self.chance = random.Random().random  # noqa: S311 - faults by chance are no secret
        self.journal = NumberedLog[JournalEntry]()
        self.push_log = NumberedLog[PushRecord]()
        self.era = 0  # how many resets there were
        self._busy: set[socket.socket] = set()
        self.use(settings)
        self._empty()

    def use(self, settings: SandboxSettings) -> None:
        """Behave by these settings from the next call on."""
        self.settings = settings
        self.basic_token = settings.basic_token()

    def _empty(self) -> None:
        self.orders: dict[str, StoredOrder] = {}
        self.faults = Faults()
        self.first_answers = FirstAnswers()
        self.rate_limit = RateLimit()

    def has(self, order: StoredOrder) -> bool:
        """Whether this very order is known: not so after a reset, even if its id is used again."""
        return self.orders.get(order.order_id) is order

    def reset(self) -> None:
        """Forget everything but the settings and where pushes go; let go of held connections.

        Log numbers go on. Takes the lock itself.
        """
        with self.lock:
            self.era += 1
            self._empty()
            self.journal.forget()
            self.push_log.forget()
            self.clock.reset()
            for connection in self._busy:
                _let_go(connection)

    @contextmanager
    def keeping_busy(self, connection: socket.socket, era: int) -> Iterator[None]:
        """Make a connection known that a fault keeps busy, so that a reset can end it.

        `era` is the one in which its call came in: a reset may have come between.
        """
        with self.lock:
            if era != self.era:
                _let_go(connection)
            self._busy.add(connection)
        try:
            yield
        finally:
            with self.lock:
                self._busy.discard(connection)


def _let_go(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
