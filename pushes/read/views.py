"""A push as JSON: the shapes that the terminal's `--json` and the web's API both answer. Pure.

Every key is always there, null when unknown. Times are ISO 8601 in UTC, with milliseconds and a
Z; amounts are in minor units.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from typing_extensions import TypedDict

from pushes.log import trace
from pushes.model import Entry, OrderSnapshot, Push, Reason


class Brief(TypedDict):
    """Which push it is, and where it is in its life."""

    order_id: str
    account: str
    state: str


class EntryView(TypedDict):
    """One line of a timeline."""

    at: str
    event: str
    call: str | None
    http_status: int | None
    ms: int | None
    error_code: str | None
    correlation_id: str | None
    detail: str | None
    by: str | None


class OrderView(TypedDict):
    """The order as Klarna last showed it."""

    status: str | None
    fraud_status: str | None
    order_amount: int | None
    captured_amount: int | None
    refunded_amount: int | None
    remaining_authorized_amount: int | None
    purchase_currency: str | None
    expires_at: str | None
    klarna_reference: str | None
    merchant_reference1: str | None
    merchant_reference2: str | None


class PushView(Brief):
    """Everything known about one push. `next_step` is what an operator does with a dead one.

    `overdue`: the deadline passed, and the order is neither settled nor discarded. `kept_aside`
    holds what Redis held of it and nobody could read, by the name of its key. `fraud_event` is what
    a fraud notification says that is not verified yet. Every line of the logs about it has
    the `trace_id`; `traceparent` is what a shop gets that it is handed over to.
    """

    reason: str | None
    attempts: int
    pushes: int
    first_push_at: str
    last_push_at: str
    next_attempt_at: str | None
    deadline_at: str
    overdue: bool
    verified_at: str | None
    handed_over_at: str | None
    references_set_at: str | None
    decision_handed_over_at: str | None
    acknowledged_at: str | None
    crashes: int
    last_error: str | None
    error_code: str | None
    correlation_id: str | None
    trace_id: str
    traceparent: str
    discarded: bool
    fraud_event: str | None
    next_step: str | None
    order: OrderView
    timeline: list[EntryView]
    kept_aside: dict[str, str]


class LineView(TypedDict):
    """What every list of pushes tells of one. The amount is in minor units."""

    order_id: str
    account: str
    reason: str | None
    first_push_at: str
    deadline_at: str
    overdue: bool
    attempts: int
    pushes: int
    last_error: str | None
    error_code: str | None
    correlation_id: str | None
    order_amount: int | None
    purchase_currency: str | None


class DeadLetterView(LineView):
    """One line of the list of dead letters."""

    died_at: str
    next_step: str | None


class StateLineView(LineView):
    """One line of the list of pushes in one state, which each is in since `since`."""

    state: str
    since: str
    next_attempt_at: str | None


def brief(push: Push) -> Brief:
    """Name a push and its state."""
    key = push.key
    return {"order_id": key.order_id, "account": key.account, "state": str(push.state)}


def full(
    push: Push,
    timeline: Iterable[Entry],
    now: datetime,
    kept_aside: Mapping[str, str] | None = None,
) -> PushView:
    """Show everything known about a push; `timeline` oldest first."""
    return {
        **brief(push),
        "reason": _word(push.reason),
        "attempts": push.attempts,
        "pushes": push.pushes,
        "first_push_at": instant(push.first_push_at),
        "last_push_at": instant(push.last_push_at),
        "next_attempt_at": optional(push.next_attempt_at),
        "deadline_at": instant(push.deadline_at),
        "overdue": push.is_overdue(now),
        "verified_at": optional(push.verified_at),
        "handed_over_at": optional(push.handed_over_at),
        "references_set_at": optional(push.references_set_at),
        "decision_handed_over_at": optional(push.decision_handed_over_at),
        "acknowledged_at": optional(push.acknowledged_at),
        "crashes": push.crashes,
        "last_error": push.last_error,
        "error_code": push.error_code,
        "correlation_id": push.correlation_id,
        "trace_id": trace.trace_id(push),
        "traceparent": trace.header(push),
        "discarded": push.discarded,
        "fraud_event": push.fraud_event,
        "next_step": _next_step(push),
        "order": order(push.order),
        "timeline": [_entry(entry) for entry in (list(timeline) or _remembered(push))],
        "kept_aside": dict(kept_aside or {}),
    }


def _remembered(push: Push) -> list[Entry]:
    """Tell of a settled push whose timeline is not kept any more what its record still knows."""
    if not push.state.is_settled:
        return []
    event, kept = str(push.state), "what else happened is kept for a day"
    return [Entry(push.changed_at, event, correlation_id=push.correlation_id, detail=kept)]


def dead_letter(push: Push, now: datetime) -> DeadLetterView:
    """Show a dead push as one line of the list of dead letters."""
    return {
        **_line(push, now),
        "died_at": instant(push.changed_at),
        "next_step": _next_step(push),
    }


def in_state(push: Push, now: datetime) -> StateLineView:
    """Show a push as one line of the list of those in its state."""
    return {
        **_line(push, now),
        "state": str(push.state),
        "since": instant(push.changed_at),
        "next_attempt_at": optional(push.next_attempt_at),
    }


def _line(push: Push, now: datetime) -> LineView:
    return {
        "order_id": push.key.order_id,
        "account": push.key.account,
        "reason": _word(push.reason),
        "first_push_at": instant(push.first_push_at),
        "deadline_at": instant(push.deadline_at),
        "overdue": push.is_overdue(now),
        "attempts": push.attempts,
        "pushes": push.pushes,
        "last_error": push.last_error,
        "error_code": push.error_code,
        "correlation_id": push.correlation_id,
        "order_amount": push.order.order_amount,
        "purchase_currency": push.order.purchase_currency,
    }


def instant(at: datetime) -> str:
    """Write a time, for example 2026-01-31T08:15:00.250Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def optional(at: datetime | None) -> str | None:
    """Write a time, or null."""
    return None if at is None else instant(at)


def _word(reason: str | None) -> str | None:
    return None if reason is None else str(reason)


def _next_step(push: Push) -> str | None:
    if push.discarded:
        return "Nothing: an operator discarded it. To take that back, replay it."
    return push.reason.next_step if isinstance(push.reason, Reason) else None


def order(seen: OrderSnapshot) -> OrderView:
    """Show an order as Klarna last showed it."""
    return {
        "status": seen.status,
        "fraud_status": seen.fraud_status,
        "order_amount": seen.order_amount,
        "captured_amount": seen.captured_amount,
        "refunded_amount": seen.refunded_amount,
        "remaining_authorized_amount": seen.remaining_authorized_amount,
        "purchase_currency": seen.purchase_currency,
        "expires_at": optional(seen.expires_at),
        "klarna_reference": seen.klarna_reference,
        "merchant_reference1": seen.merchant_reference1,
        "merchant_reference2": seen.merchant_reference2,
    }


def _entry(entry: Entry) -> EntryView:
    return {
        "at": instant(entry.at),
        "event": entry.event,
        "call": entry.call,
        "http_status": entry.http_status,
        "ms": entry.elapsed_ms,
        "error_code": entry.error_code,
        "correlation_id": entry.correlation_id,
        "detail": entry.detail,
        "by": entry.by,
    }
