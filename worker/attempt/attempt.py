"""One attempt: the push it is for, what it did call by call, and how it ended."""

from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Self

from klarna import Exchange, Order
from pushes import fraud, life, telemetry
from pushes.fraud import FraudLook
from pushes.model import Change, Entry, OrderSnapshot, Push, Reason
from pushes.store.rq_job import JOB_TIMEOUT_S
from worker.attempt.outcomes import Acknowledged, Dead, NotNeeded, Outcome
from worker.clock import SYSTEM_CLOCK, Clock


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt under way: the record as it was started, and when it may call Klarna first.

    `began` and `slot_at` are on the worker's monotonic clock; without `slot_at` it may at once.
    """

    push: Push
    began: float
    clock: Clock
    slot_at: float | None = None
    is_probe: bool = False

    @property
    def account(self) -> str:
        """Name the account of the push."""
        return self.push.key.account

    @property
    def execution_id(self) -> str:
        """Name the attempt, as its record does."""
        return str(self.push.execution_id)

    @property
    def age_s(self) -> float:
        """Seconds since it began."""
        return self.clock.monotonic() - self.began

    @property
    def hangs(self) -> bool:
        """Whether it is past every time limit; its thread may never return."""
        return self.age_s > JOB_TIMEOUT_S


@dataclass(slots=True)
class Report:
    """What an attempt did, call by call, and the order if Klarna showed the right one.

    `fraud` is what it saw of a fraud notification, if one was due. The others are the steps before
    the acknowledge that it has done, as the record remembers them; `notified_at` says which
    decision was handed over. `hands_over` is whether the account asks for that at all.
    """

    clock: Clock = SYSTEM_CLOCK
    entries: list[Entry] = field(default_factory=list)
    order: OrderSnapshot | None = None
    fraud: FraudLook | None = None
    hands_over: bool = False
    handed_over_at: datetime | None = None
    reference1: str | None = None
    reference2: str | None = None
    references_set_at: datetime | None = None
    notified_at: datetime | None = None
    decision_handed_over_at: datetime | None = None

    def added_to(self, push: Push) -> Push:
        """Return the record with the steps that this attempt has done."""
        if self.decision_handed_over_at and push.notified_at == self.notified_at:
            push = replace(push, decision_handed_over_at=self.decision_handed_over_at)
        if self.handed_over_at is None and self.references_set_at is None:
            return push
        return replace(
            push,
            push_target=None if self.handed_over_at else push.push_target,
            handed_over_at=self.handed_over_at or push.handed_over_at,
            reference1=self.reference1 or push.reference1,
            reference2=self.reference2 or push.reference2,
            references_set_at=self.references_set_at or push.references_set_at,
        )

    def verified(self, order: Order) -> None:
        """Keep of an order what the ledger shows."""
        kept = {name.name: getattr(order, name.name) for name in fields(OrderSnapshot)}
        self.order = OrderSnapshot(**kept)

    def observe(self, exchange: Exchange) -> None:
        """Note one call to Klarna."""
        entry = Entry(
            at=self.clock.now(),
            event="call",
            call=str(exchange.operation),
            http_status=exchange.http_status,
            elapsed_ms=exchange.elapsed_ms,
            error_code=exchange.error_code,
            correlation_id=exchange.correlation_id,
            detail=exchange.error,
        )
        self.entries.append(entry)
        telemetry.called(entry)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended: the change to commit, and how to make it of a newer record."""

    attempt: Attempt
    outcome: Outcome
    report: Report
    at: datetime
    change: Change

    @classmethod
    def of(cls, attempt: Attempt, outcome: Outcome, report: Report, at: datetime) -> Self:
        """Make the change that the outcome means to the push as it was begun."""
        return cls(attempt, outcome, report, at, _step(attempt.push, outcome, report, at))

    @property
    def account(self) -> str:
        """Name the account of the push."""
        return self.attempt.account

    def step(self, push: Push) -> Change | None:
        """Make the change of a newer record; None when another attempt has the push, or had it.

        A failover may have lost the start of this attempt, and the lease may have lapsed. What
        Klarna has settled is settled all the same, as long as no other attempt has begun since.
        """
        mine = self.attempt.push
        if push.execution_id == mine.execution_id:
            return _step(push, self.outcome, self.report, self.at)
        if push.execution_id or not push.is_unacknowledged or push.attempts > mine.attempts:
            return None
        if not isinstance(self.outcome, Acknowledged | NotNeeded):
            return None  # it is attempted again anyhow
        change = _step(push, self.outcome, self.report, self.at)
        return replace(
            change, after=replace(change.after, attempts=mine.attempts), rebuilds_job=True
        )

    @property
    def merchant_answered(self) -> bool:
        """Whether the merchant's own system said what becomes of the order."""
        outcome = self.outcome
        refused = isinstance(outcome, Dead) and outcome.reason is Reason.REFUSED_BY_MERCHANT
        taken = self.report.handed_over_at or self.report.decision_handed_over_at
        return refused or taken is not None

    def with_outcome(self, outcome: Outcome) -> Self:
        """Return the same ending with another judgement."""
        return type(self).of(self.attempt, outcome, self.report, self.at)


def _step(push: Push, outcome: Outcome, report: Report, at: datetime) -> Change:
    change = outcome.step(report.added_to(push), at)
    change = replace(change, before=push)
    reported = life.reported(change, tuple(report.entries), report.order, at)
    return fraud.settled(reported, report.fraud, at)
