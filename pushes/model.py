"""The words: what a push is, the states it can be in, why it may be dead or held.

Plain Python. Refuses everything that is not an order id or an account name by shape, so that
nothing else ever becomes part of a Redis key or of a URL.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from random import getrandbits
from typing import Self

# Klarna's order ids look like UUIDs but are not RFC 4122 v4 (version nibbles 2, 4 and 6 were
# seen in recorded exchanges), so only the shape counts.
_ORDER_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")

# What dead letters are grouped by as it is; any other code of an error is left to its status.
_ERROR_CODE = re.compile(r"[A-Za-z0-9_.-]{1,40}")

# HTTP's statuses that mean success.
_SUCCESSES = range(200, 300)

# Klarna re-sends a push for 48 hours, then it is silent for good (Klarna docs, "Push").
PUSH_WINDOW = timedelta(hours=48)


class ExplainedWord(StrEnum):
    """Words that stand in Redis, JSON and logs alike, each with a sentence for a reader."""

    sentence: str

    def __new__(cls, word: str, sentence: str) -> Self:
        """Make the member: its value is the word alone."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.sentence = sentence
        return member

    @classmethod
    def of(cls, word: str) -> Self:
        """Return the member with this word. Raises ValueError when there is none."""
        return cls(word)  # type: ignore[call-arg]  # mypy takes __new__ for the look-up


class State(ExplainedWord):
    """Where a push is in its life. The same words in Redis, logs, pages and metrics."""

    QUEUED = "queued", "Waiting for a worker."
    RUNNING = "running", "An attempt is under way."
    RETRYING = "retrying", "The last attempt failed; the next one has a time."
    HELD = "held", "Its account is paused; it waits and spends no attempt."
    ACKNOWLEDGED = "acknowledged", "Klarna said 2xx to acknowledge."
    NOT_NEEDED = "not_needed", "The order is cancelled, expired or closed: nothing to acknowledge."
    DEAD = "dead", "An operator decides."

    @property
    def is_waiting(self) -> bool:
        """Whether the order still has to be acknowledged by us."""
        return self not in {State.ACKNOWLEDGED, State.NOT_NEEDED, State.DEAD}

    @property
    def is_settled(self) -> bool:
        """Whether the push ended well: nothing is left to do, and its record may expire."""
        return self in {State.ACKNOWLEDGED, State.NOT_NEEDED}


class Reason(StrEnum):
    """Why a push is dead, and what an operator does next."""

    next_step: str

    def __new__(cls, word: str, next_step: str) -> Self:
        """Make the member: its value is the word alone."""
        reason = str.__new__(cls, word)
        reason._value_ = word
        reason.next_step = next_step
        return reason

    @classmethod
    def of(cls, word: str) -> Self:
        """Return the member with this word. Raises ValueError when there is none."""
        return cls(word)  # type: ignore[call-arg]  # mypy takes __new__ for the look-up

    NO_SUCH_ORDER = (
        "no_such_order",
        (
            "Klarna does not know this order. Forged or test push: discard it. Real order: check"
            " that the account's region and credentials are the shop's own, then replay."
        ),
    )
    RETRIES_EXHAUSTED = (
        "retries_exhausted",
        (
            "Klarna, or the shop that the order is handed over to, kept failing: the timeline says"
            " which. Look at that one's status page, then replay."
        ),
    )
    NOT_ALLOWED = (
        "not_allowed",
        (
            "Klarna refuses to acknowledge an order that looks open, or to show it: then it is"
            " probably another merchant's. Look at it in the Klarna portal; replay after its state"
            " changed, else discard."
        ),
    )
    REJECTED = (
        "rejected",
        (
            "Klarna called the request wrong. Look at the error code in the timeline; if the"
            " fault is ours, report it; then replay."
        ),
    )
    ORDER_MISMATCH = (
        "order_mismatch",
        (
            "Klarna answered with another order's id, so nothing was acknowledged. Check proxies"
            " and the API address, then replay."
        ),
    )
    FRAUD_MISMATCH = (
        "fraud_mismatch",
        (
            "A fraud notification said one thing of this order and Klarna's API another, until the"
            " end. Ship nothing yet: look at the order in the Klarna portal, then replay or"
            " discard."
        ),
    )
    REFUSED_BY_MERCHANT = (
        "refused_by_merchant",
        (
            "The merchant's own system does not want this order; the timeline has its words. Put"
            " right there what is wrong, then replay; or cancel the order at Klarna, then discard."
        ),
    )
    CRASH_LOOP = (
        "crash_loop",
        (
            "Its worker died during the attempt, and so did two processes that did nothing else."
            " Look at the worker's log and memory for what this order does to it, then replay."
        ),
    )
    UNREADABLE = (
        "unreadable",
        (
            "What Redis held for this push could not be read, its record or its job. Find out who"
            " wrote it; replay makes both anew."
        ),
    )
    INTERNAL_ERROR = (
        "internal_error",
        (
            "This service failed, not Klarna. Look for the order in the worker's log, report it,"
            " then replay."
        ),
    )


class HoldReason(StrEnum):
    """Why a push is held."""

    CREDENTIALS = "credentials"
    OUTAGE = "outage"
    MERCHANT = "merchant"
    OPERATOR = "operator"


# The calls to the merchant's own system, as timelines name them: an order, a fraud decision.
HAND_OVER = "hand_over"
HAND_OVER_DECISION = "hand_over_decision"
MERCHANT_CALLS = frozenset({HAND_OVER, HAND_OVER_DECISION})

# The source of every address that is trusted from the start; any other is a network's digest.
TRUSTED = "trusted"


class Lane(StrEnum):
    """Which share of its account's quota a waiting push is served from; see `policy.TURNS`."""

    FRESH = "fresh"  # just pushed by Klarna
    BACKLOG = "backlog"  # waited before: retries, replays, what was queued by hand or held
    UNKNOWN = "unknown"  # Klarna has answered 404, or the sender is nobody we know


@dataclass(frozen=True, slots=True)
class PushKey:
    """The key of everything: one merchant account and one order of it.

    Raises ValueError, naming what is wrong, unless both have the right shape.
    """

    account: str
    order_id: str

    def __post_init__(self) -> None:
        if not is_account(self.account):
            raise ValueError(
                f"account {self.account[:40]!r}: use 1 to 32 of a-z, 0-9 and '-', not starting "
                "with '-'"
            )
        if not is_order_id(self.order_id):
            raise ValueError(
                f"order id {self.order_id[:40]!r}: expected the shape 8-4-4-4-12 of 0-9 and a-f"
            )


def is_order_id(text: str) -> bool:
    """Whether `text` has the shape of an order id, lower-cased."""
    return _ORDER_ID.fullmatch(text) is not None


def is_account(text: str) -> bool:
    """Whether `text` can name an account."""
    return _ACCOUNT.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    """What we keep of an order as Klarna last showed it; amounts in minor units.

    Never a person's data.
    """

    status: str | None = None
    fraud_status: str | None = None
    order_amount: int | None = None
    captured_amount: int | None = None
    refunded_amount: int | None = None
    remaining_authorized_amount: int | None = None
    purchase_currency: str | None = None
    expires_at: datetime | None = None
    klarna_reference: str | None = None
    merchant_reference1: str | None = None
    merchant_reference2: str | None = None


@dataclass(frozen=True, slots=True)
class Push:
    """The ledger's record of one order: everything known about its push. Times are aware UTC.

    `rev` counts the changes of the record: whoever writes says which revision it saw, so no
    change is lost and no late worker overwrites a newer one. `failures` and `not_found` count
    what was spent since the push was last given fresh attempts; `crashes` counts the deaths of its
    workers since an attempt last came to its end; `attempts` counts every attempt ever started.
    `correlation_id` is Klarna's name for the last call, for its support; `error_code` is the word
    for `last_error` by which dead letters are grouped. `after_failure` says of a retry that a
    failure planned it, not a rate limit nor a 404. `run` names the bulk run that changed it last.
    `fraud_event` is what a fraud notification says that is not verified yet, `fraud_seen` what the
    last one said that is, `notified_at` when that decision came first; with `only_notified`
    nothing but that is to be done: no acknowledge is due. `trace` is the `traceparent` that the
    push brought along, see `pushes.log.trace`.
    `push_target` is what a shop's plugin is to get of the push URL, which followed the account.
    `handed_over_at` is when the merchant's own system took the order; `reference1` and `reference2`
    are what it calls it, set at Klarna at `references_set_at`; `decision_handed_over_at` is when it
    took the fraud decision of `notified_at`.
    `unreadable` is set while the record in Redis cannot be read, and names its content: the rest is
    then what could be made out, and the next change writes it anew.
    """

    key: PushKey
    state: State
    rev: int
    first_push_at: datetime
    last_push_at: datetime
    changed_at: datetime
    reason: Reason | HoldReason | None = None
    pushes: int = 0
    attempts: int = 0
    failures: int = 0
    not_found: int = 0
    limited: int = 0
    crashes: int = 0
    next_attempt_at: datetime | None = None
    verified_at: datetime | None = None
    acknowledged_at: datetime | None = None
    idempotent_since: datetime | None = None
    worker: str | None = None
    execution_id: str | None = None
    last_error: str | None = None
    error_code: str | None = None
    correlation_id: str | None = None
    after_failure: bool = False
    discarded: bool = False
    fraud_event: str | None = None
    fraud_seen: str | None = None
    notified_at: datetime | None = None
    only_notified: bool = False
    run: str | None = None
    lane: Lane = Lane.FRESH
    source: str | None = None
    trace: str | None = None
    push_target: str | None = None
    handed_over_at: datetime | None = None
    reference1: str | None = None
    reference2: str | None = None
    references_set_at: datetime | None = None
    decision_handed_over_at: datetime | None = None
    order: OrderSnapshot = field(default_factory=OrderSnapshot)
    unreadable: str | None = None

    @property
    def deadline_at(self) -> datetime:
        """When Klarna stops re-sending: first push + 48 h."""
        return self.first_push_at + PUSH_WINDOW

    @property
    def runs_alone(self) -> bool:
        """Whether its next attempt is the only one of its process: its last worker died."""
        return self.crashes > 0

    @property
    def is_unacknowledged(self) -> bool:
        """Whether the order is still open at Klarna for all we know: in hand, or dead."""
        return not (self.state.is_settled or self.discarded or self.only_notified)

    def is_overdue(self, now: datetime) -> bool:
        """Whether the deadline passed before the order was settled; work goes on regardless."""
        return self.is_unacknowledged and now >= self.deadline_at


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a push's timeline: an event of ours, or one call to Klarna."""

    at: datetime
    event: str
    call: str | None = None
    http_status: int | None = None
    elapsed_ms: int | None = None
    error_code: str | None = None
    correlation_id: str | None = None
    detail: str | None = None
    by: str | None = None

    @property
    def is_to_klarna(self) -> bool:
        """Whether it is a call, and not one to the merchant's own system."""
        return self.call is not None and self.call not in MERCHANT_CALLS

    @property
    def failure(self) -> str | None:
        """Name in a word how a call failed: Klarna's own word, or the status, or that none came."""
        if self.call is None or self.http_status in _SUCCESSES:
            return None
        if self.error_code and _ERROR_CODE.fullmatch(self.error_code):
            return self.error_code
        return f"HTTP_{self.http_status}" if self.http_status else "NO_ANSWER"


def _new_token() -> str:
    # No secret: it need not be unguessable, and asking the system for each would cost a call.
    return f"{getrandbits(32):08x}"


@dataclass(frozen=True, slots=True)
class Change:
    """One step in the life of a push: the record as it was seen, as it becomes, and why.

    `rebuilds_job` puts the RQ job in its place again although the state stays the same.
    """

    before: Push | None
    after: Push
    entries: tuple[Entry, ...] = ()
    rebuilds_job: bool = False
    # Tells this change from one that looks the same, so that it is recognised when it is met again.
    token: str = field(default_factory=_new_token, compare=False)

    @property
    def moves_job(self) -> bool:
        """Whether the RQ job changes its place with this step."""
        if self.before is None or self.rebuilds_job:
            return True
        return (self.before.state, self.before.discarded) != (
            self.after.state,
            self.after.discarded,
        )
