"""Everything the sandbox knows, under one lock. Decides nothing itself.

One lock makes the log, the orders and the first answers agree at any moment: a call is decided and
logged in one step, before a byte of its answer is sent.
"""

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Generic, Protocol, TypeVar

from sandbox.api.merchant import MerchantCalls
from sandbox.api.orders import StoredOrder
from sandbox.api.request_log import LoggedCall
from sandbox.clock import MovableClock
from sandbox.faults.injected import Faults
from sandbox.pushing.schedule import PushRecord
from sandbox.settings import SandboxSettings


class Logged(Protocol):
    """What can be logged: it says which order it is about."""

    @property
    def order_id(self) -> str | None:
        """The order, None when it is about none."""


class AnsweredEntry(Logged, Protocol):
    """A call that was decided and is answered next.

    `status` becomes None when the answer cannot be sent. `correlation_id` goes with the answer.
    """

    status: int | None

    @property
    def correlation_id(self) -> str | None:
        """What the header says, None for no header."""

    def view(self) -> dict[str, object]:
        """Show it as the control side does."""


T = TypeVar("T", bound=Logged)


class NumberedLog(Generic[T]):
    """The entries in order. Bounded by nothing but `forget`. Its caller holds the lock."""

    def __init__(self) -> None:
        self._entries: list[T] = []
        self._forgotten = 0

    @property
    def next_seq(self) -> int:
        """The number the next entry must carry."""
        return self._forgotten + len(self._entries) + 1

    def add(self, entry: T) -> None:
        """Take in an entry numbered `next_seq`."""
        self._entries.append(entry)

    def since(self, seq: int, order_id: str | None = None) -> list[T]:
        """Give the entries after number `seq`, of one order if an id is given."""
        later = self._entries[max(0, seq - self._forgotten) :]
        return [entry for entry in later if order_id is None or entry.order_id == order_id]

    def forget(self) -> None:
        """Drop all entries; numbers go on, so that whoever reads with `since` misses none."""
        self._forgotten += len(self._entries)
        self._entries = []


class SandboxState:
    """The state. Read and change it while holding `lock`; `settings` may be read without."""

    def __init__(self, settings: SandboxSettings, clock: MovableClock) -> None:
        self.lock = Lock()
        self.clock = clock
        self.push_url: str | None = None
        self.url = ""  # the sandbox's own, once it listens
        self.chance = random.Random().random  # noqa: S311 - faults by chance are no secret
        self.request_log = NumberedLog[LoggedCall]()
        self.push_log = NumberedLog[PushRecord]()
        self.receiver_log = NumberedLog[AnsweredEntry]()
        self.plugin_log = NumberedLog[AnsweredEntry]()
        self.reset_count = 0  # how many resets there were
        self._busy: set[socket.socket] = set()
        self.use(settings)
        self._empty()

    def use(self, settings: SandboxSettings) -> None:
        """Behave by these settings from the next call on."""
        self.settings = settings
        self.merchants = settings.merchants_by_token()

    def _empty(self) -> None:
        self.orders: dict[str, StoredOrder] = {}
        self.faults = Faults()
        self.taken_messages: set[str] = set()  # by the shop's receiver
        self._calls: dict[str, MerchantCalls] = {}

    def calls_of(self, merchant: str) -> MerchantCalls:
        """Give what is kept of a merchant's calls."""
        return self._calls.setdefault(merchant, MerchantCalls())

    def has(self, order: StoredOrder) -> bool:
        """Whether this very order is known: not so after a reset, even if its id is used again."""
        return self.orders.get(order.order_id) is order

    def reset(self) -> None:
        """Forget everything but the settings and where pushes go; let go of held connections.

        Log numbers go on. Takes the lock itself.
        """
        with self.lock:
            self.reset_count += 1
            self._empty()
            self.request_log.forget()
            for log in (self.push_log, self.receiver_log, self.plugin_log):
                log.forget()
            self.clock.reset()
            for connection in self._busy:
                _let_go(connection)

    @contextmanager
    def keeping_busy(self, connection: socket.socket, reset_count: int) -> Iterator[None]:
        """Make a connection known that a fault keeps busy, so that a reset can end it.

        `reset_count` is the one in which its call came in: a reset may have come between.
        """
        with self.lock:
            if reset_count != self.reset_count:
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
