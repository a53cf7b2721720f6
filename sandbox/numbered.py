"""A log whose entries are numbered from 1 without gaps, also across a reset. Pure."""

from typing import Generic, Protocol, TypeVar


class Logged(Protocol):
    """What can be logged: it says which order it is about."""

    @property
    def order_id(self) -> str | None:
        """The order, None when it is about none."""


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
