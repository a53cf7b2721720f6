"""One HTTP call to Klarna as the ledger and the log may know it: never a body, never a secret."""

from dataclasses import dataclass
from enum import StrEnum


class Operation(StrEnum):
    """What we ask of Order Management; the words appear in logs, metrics and timelines."""

    GET_ORDER = "get_order"
    ACKNOWLEDGE = "acknowledge"

    @property
    def is_write(self) -> bool:
        """Whether Klarna changes something: a 403 then speaks of the order, not of us."""
        return self is not Operation.GET_ORDER


@dataclass(frozen=True, slots=True)
class Exchange:
    """The trace one call leaves, whether it worked or not.

    `http_status` is None when no complete answer came. `correlation_id` is what Klarna's support
    asks for: opaque text, sometimes truncated by Klarna. `error` is None exactly on success.
    """

    operation: Operation
    http_status: int | None
    elapsed_ms: int
    error_code: str | None = None
    correlation_id: str | None = None
    error: str | None = None


def one_line(text: str, limit: int) -> str:
    """Return at most `limit` characters, each fit for a log line and for UTF-8."""
    text = text[:limit]
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
