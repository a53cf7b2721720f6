"""A write to an order at Klarna that an operator asks for: its key, and what it means for the push.

Pure. Klarna is called by the terminal; `pushes.operate.write` keeps the write before it is sent
and tells of it afterwards.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final
from uuid import UUID, uuid5

from pushes import fraud, life
from pushes.model import Change, Entry, OrderSnapshot, Push, PushKey, State

# Ours alone, so that no other program's UUIDv5 of the same name is the same key.
_NAMESPACE = UUID("4f5c2f6e-6a3e-5d0a-9a55-0f7f9f4b8d21")

# The event of a write in the timeline, before it is sent; what Klarna answers is a `call`.
ASKED: Final = "asked_by_operator"

# These, when Klarna says 2xx to them, leave nothing to acknowledge. A capture acknowledges, too
# (Klarna docs, "Capture").
_SETTLES: Final = {
    "acknowledge": State.ACKNOWLEDGED,
    "capture": State.ACKNOWLEDGED,
    "cancel": State.NOT_NEEDED,
}


class WriteResult(Enum):
    """What became of a write."""

    DONE = "Klarna did it"
    REFUSED = "Klarna did not do it"
    UNKNOWN = "nobody knows whether Klarna did it"


@dataclass(frozen=True, slots=True)
class OrderWrite:
    """One write: what is asked of Klarna, in a word of its client, for which order.

    `body` is what is sent. `detail` says it in a few words that may be kept: amounts and names of
    fields, never a person's data.
    """

    key: PushKey
    call: str
    body: bytes | None = None
    detail: str | None = None

    def idempotency_key(self, since: datetime) -> str:
        """Name the write for Klarna, which looks at nothing but this key.

        The same for the same order, call, body and `since`, when it was first kept.
        """
        body = (self.body or b"").decode(errors="replace")
        name = f"{self.call}:{self.key.account}_{self.key.order_id}:{since.isoformat()}:{body}"
        return str(uuid5(_NAMESPACE, name))


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """What came of a write: Klarna's answers as lines of the timeline, and the order afterwards."""

    result: WriteResult
    entries: tuple[Entry, ...] = ()
    order: OrderSnapshot | None = None


def asked(push: Push, write: OrderWrite, by: str, why: str | None, now: datetime) -> Change:
    """Note that an operator is about to send a write."""
    detail = ": ".join(part for part in (write.detail, why) if part)
    entry = Entry(now, ASKED, call=write.call, detail=detail or None, by=by)
    return Change(push, replace(push, rev=push.rev + 1, unreadable=None), (entry,))


def answered(push: Push, write: OrderWrite, answer: OrderAnswer, now: datetime) -> Change:
    """Note what Klarna answered to a write, and settle the push where nothing is left to do.

    An attempt under way is left alone: it asks Klarna itself. So is what an operator discarded.
    """
    settled = _SETTLES.get(write.call) if answer.result is WriteResult.DONE else None
    if settled and push.is_unacknowledged and push.state is not State.RUNNING:
        step = life.acknowledged if settled is State.ACKNOWLEDGED else life.not_needed
        change = step(push, now)
        after = replace(change.after, reason=None, next_attempt_at=None, after_failure=False)
        # Its job may stand in the queue, where no attempt has taken it out.
        change = replace(change, after=after, rebuilds_job=True)
    else:
        change = Change(push, replace(push, rev=push.rev + 1, unreadable=None))
    noted = life.reported(change, answer.entries, answer.order, now)
    return fraud.settled(noted, None, now) if settled else noted
