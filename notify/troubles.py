"""What somebody should be told of: for HEARTBEAT_URL, and for the messages of NOTIFY_URLS.

Every number is the overview's, so that status, console, metrics and messages agree. Pure.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Self

from pushes.accounts.holds import Standing
from pushes.model import Reason
from pushes.read.at_risk import OVERDUE
from pushes.read.overview import Overview
from pushes.read.search.causes import CauseGroup
from pushes.read.search.moments import describe_span
from pushes.store.server.durability import ServerFacts

# By then an order has failed at least six attempts, and Klarna has pushed it five times.
WAITS_LONG = timedelta(hours=4)

# With less time left an order has failed for 36 hours.
DEADLINE_NEAR_H = 12

_AT_ONCE = timedelta(0)
_A_MINUTE = timedelta(minutes=1)
_FIVE_MINUTES = timedelta(minutes=5)


class TroubleKind(StrEnum):
    """What can be wrong.

    `heading` is the one of the runbook, and the name of the alert; a message waits until it has
    lasted for `patience`, as the alert does.
    """

    heading: str
    patience: timedelta

    def __new__(cls, word: str, heading: str, patience: timedelta) -> Self:
        """Make the member: its value is the word alone."""
        kind = str.__new__(cls, word)
        kind._value_ = word
        kind.heading = heading
        kind.patience = patience
        return kind

    @classmethod
    def of(cls, word: str) -> Self:
        """Return the member with this word. Raises ValueError when there is none."""
        return cls(word)  # type: ignore[call-arg]  # mypy takes __new__ for the look-up

    # As `pushes.read.alarms.Alarm` has them.
    PUSHES_NOT_REACHING_US = "pushes_not_reaching_us", "KlarnaAckPushesNotReachingUs", _AT_ONCE
    PUSHES_REFUSED = "pushes_refused", "KlarnaAckPushesRefused", _AT_ONCE
    ACCOUNT_NOT_SERVED = "account_not_served", "KlarnaAckAccountNotServed", _A_MINUTE
    # What is going on.
    ACCOUNT_HELD = "account_held", "KlarnaAckAccountHeld", _FIVE_MINUTES
    NO_WORKER_TAKES_ORDERS = "no_worker_takes_orders", "KlarnaAckNoWorkers", _A_MINUTE
    SUSPENDED = "suspended", "KlarnaAckSuspended", _FIVE_MINUTES
    ORDER_WAITS_LONG = "order_waits_long", "KlarnaAckOldOrder", _AT_ONCE
    DEADLINE_NEAR = "deadline_near", "KlarnaAckDeadlineNear", _AT_ONCE
    REDIS_DOES_NOT_PERSIST = "redis_does_not_persist", "KlarnaAckRedisDoesNotPersist", _AT_ONCE
    UNREADABLE = "unreadable", "KlarnaAckUnreadable", _FIVE_MINUTES
    # What waits for an operator, and stays until there was one.
    DEAD_LETTERS = "dead_letters", "KlarnaAckDeadLetters", _AT_ONCE
    DEADLINE_PASSED = "deadline_passed", "KlarnaAckDeadlinePassed", _AT_ONCE


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong, in a sentence, and what to do in another.

    `about` tells it from others of its kind; `size` is how many orders it is about, or how many
    times a limit is passed.
    """

    kind: TroubleKind
    what: str
    action: str
    about: str = ""
    size: int = 1

    @property
    def name(self) -> str:
        """Tell it from all others."""
        return f"{self.kind}:{self.about}" if self.about else str(self.kind)


def going_on(seen: Overview, server: ServerFacts) -> list[Trouble]:
    """List what is wrong at this moment; nothing while all is well."""
    return [
        *(Trouble(TroubleKind.of(alarm), alarm.meaning, alarm.action) for alarm in seen.alarms),
        *_of_accounts(seen.standings.items()),
        *_of_workers(seen),
        *_of_waiting(seen),
        *_of_redis(seen, server),
    ]


def left_over(seen: Overview, causes: Iterable[CauseGroup]) -> list[Trouble]:
    """List what waits for an operator: dead letters by their cause, and what is overdue."""
    return [*_of_causes(causes), *_of_overdue(seen)]


def _of_accounts(standings: Iterable[tuple[str, Standing]]) -> Iterator[Trouble]:
    for name, standing in sorted(standings, key=lambda item: item[0]):
        if (hold := standing.hold) is not None:
            by = f" by {hold.by}" if hold.by else ""
            yield Trouble(
                TroubleKind.ACCOUNT_HELD,
                f"The account {name} is held ({hold.reason}{by}): {hold.cause}",
                f"`klarna-ack resume {name}` when that is over."
                if hold.by
                else "It is tried once a minute, and resumes by itself when that passes.",
                name,
            )


def _of_workers(seen: Overview) -> Iterator[Trouble]:
    workers = seen.workers
    if workers.ours <= workers.skewed:
        yield Trouble(
            TroubleKind.NO_WORKER_TAKES_ORDERS,
            "No worker takes orders, since the clocks of all of them are wrong."
            if workers.ours
            else "No worker is alive, so no order is acknowledged.",
            "Let NTP set their clocks." if workers.ours else "Start one: `python -m worker`.",
        )
    if workers.suspended:
        yield Trouble(
            TroubleKind.SUSPENDED,
            "The workers are told to take no orders, by `rq suspend`.",
            '`rq resume --url "$REDIS_URL"` lets them go on.',
        )


def _of_waiting(seen: Overview) -> Iterator[Trouble]:
    waits_s = seen.oldest_waiting_s or 0.0
    if waits_s > WAITS_LONG.total_seconds():
        yield Trouble(
            TroubleKind.ORDER_WAITS_LONG,
            f"An order has waited for {describe_span(waits_s)} to be acknowledged.",
            "`klarna-ack list --state retrying` and `--state held` show what fails.",
            size=int(waits_s / WAITS_LONG.total_seconds()),
        )
    if near := _orders(seen, DEADLINE_NEAR_H):
        yield Trouble(
            TroubleKind.DEADLINE_NEAR,
            f"{_count(near, 'order has', 'orders have')} less than {DEADLINE_NEAR_H} hours left to"
            " be acknowledged.",
            "Mend the cause, replay what is dead, discard what is forged.",
            size=near,
        )


def _of_redis(seen: Overview, server: ServerFacts) -> Iterator[Trouble]:
    if (fault := server.fault) is not None:
        yield Trouble(
            TroubleKind.REDIS_DOES_NOT_PERSIST,
            f"Redis does not keep what it is given: {fault.seen}.",
            f"{fault.remedy[0].upper()}{fault.remedy[1:]}.",
        )
    if seen.unreadable:
        yield Trouble(
            TroubleKind.UNREADABLE,
            f"{_count(len(seen.unreadable), 'fact', 'facts')} in Redis cannot be read.",
            "`klarna-ack status` names them.",
            size=len(seen.unreadable),
        )


def _of_causes(causes: Iterable[CauseGroup]) -> Iterator[Trouble]:
    for group in causes:
        cause = group.cause
        code = f", {cause.code}" if cause.code else ""
        yield Trouble(
            TroubleKind.DEAD_LETTERS,
            f"{_count(group.count, 'dead letter', 'dead letters')} of the account {cause.account}:"
            f" {cause.reason}{code}.",
            Reason.of(cause.reason).next_step,
            f"{cause.account}:{cause.reason}:{cause.code or '-'}",
            group.count,
        )


def _of_overdue(seen: Overview) -> Iterator[Trouble]:
    if overdue := _orders(seen, OVERDUE):
        yield Trouble(
            TroubleKind.DEADLINE_PASSED,
            f"{_count(overdue, 'order is', 'orders are')} past the deadline and not acknowledged:"
            " Klarna pushes them no more.",
            "Acknowledge them today, or discard what is forged: `klarna-ack dead list`.",
            size=overdue,
        )


def _orders(seen: Overview, under_h: int) -> int:
    return sum(group.orders for group in seen.at_risk if group.under_h == under_h)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
