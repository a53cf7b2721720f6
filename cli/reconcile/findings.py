"""What is found of one of a shop's orders: first by what is known here. Changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypedDict

from redis import Redis

from pushes.model import Push, PushKey, State
from pushes.store import records

# So many records are read in one round trip.
_CHUNK = 500


class Finding(StrEnum):
    """What is found of an order, the most pressing first, each with what helps."""

    remedy: str | None

    def __new__(cls, word: str, remedy: str | None = None) -> Self:
        """Make the member: its value is the word alone."""
        finding = str.__new__(cls, word)
        finding._value_ = word
        finding.remedy = remedy
        return finding

    NEVER_HEARD_OF = (
        "never_heard_of",
        "no push of them ever came: --push-missing queues them.",
    )
    DEAD = (
        "dead",
        "see `klarna-ack show ORDER_ID` for the next step, then `klarna-ack dead replay`.",
    )
    NOT_TOLD = ("not_told", "Klarna did not say: run this again.")
    UNACKNOWLEDGED = ("unacknowledged", "they wait for a worker; see `klarna-ack status`.")
    NO_SUCH_ORDER = (
        "no_such_order",
        "Klarna does not know them here: check --account, and where the file comes from.",
    )
    CLOSED = "closed"  # at Klarna, or what else its account leaves alone: not_needed_states
    DISCARDED = "discarded"  # by an operator
    CAPTURED = "captured"  # never heard of, and acknowledged by its capture
    ACKNOWLEDGED = "acknowledged"

    @property
    def is_news(self) -> bool:
        """Whether it is listed for a reader, and not only counted."""
        return self is not Finding.ACKNOWLEDGED


class ReconciledView(TypedDict):
    """One order as JSON."""

    order_id: str
    account: str
    finding: str
    state: str | None
    reason: str | None
    klarna_status: str | None
    detail: str | None
    queued: bool


@dataclass(frozen=True, slots=True)
class Reconciled:
    """An order and what was found of it; `push` is what is known of it here."""

    key: PushKey
    finding: Finding
    push: Push | None = None
    klarna_status: str | None = None
    detail: str | None = None
    queued: bool = False

    def view(self) -> ReconciledView:
        """Show it as JSON."""
        push = self.push
        return {
            "order_id": self.key.order_id,
            "account": self.key.account,
            "finding": str(self.finding),
            "state": str(push.state) if push else None,
            "reason": str(push.reason) if push and push.reason else None,
            "klarna_status": self.klarna_status,
            "detail": self.detail,
            "queued": self.queued,
        }


def look_up(redis: Redis, account: str, ids: Sequence[str]) -> list[Reconciled]:
    """Say of each order what is known of it here. Raises RedisError."""
    wanted = [PushKey(account, order_id) for order_id in ids]
    found: list[Reconciled] = []
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        pushes = records.get_many(redis, chunk)
        found += [_of_record(key, push) for key, push in zip(chunk, pushes, strict=True)]
    return found


def _of_record(key: PushKey, push: Push | None) -> Reconciled:
    if push is None:
        return Reconciled(key, Finding.NEVER_HEARD_OF)
    seen = push.order.status
    match push.state:
        case State.ACKNOWLEDGED:
            finding = Finding.ACKNOWLEDGED
        case State.NOT_NEEDED:
            finding = Finding.CLOSED
        case State.DEAD:
            finding = Finding.DISCARDED if push.discarded else Finding.DEAD
        case _:
            finding = Finding.UNACKNOWLEDGED
    return Reconciled(key, finding, push, seen, push.last_error)
