"""What an attempt may end in, each with the step it means in the life of the push.

    Outcome
    ├── Acknowledged   Klarna said 2xx to acknowledge
    ├── NotNeeded      the order is closed
    ├── Looked         the order was looked at for a fraud notification only
    ├── Retry          again after a delay, spent on failures, on not-found, or on nothing
    ├── RateLimited    again after the pause that Klarna asks for, the account's or the order's own
    ├── Hold           wait with the account, spend nothing
    └── Dead           an operator decides

A step is a pure function from the record to a change; the runner commits it. Each outcome is also
a sign of how its account is: see `worker.attempt.account_health`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import ClassVar

from pushes import fraud, life
from pushes.model import Change, HoldReason, Push, Reason


class Spends(Enum):
    """What a retry is counted against."""

    NOTHING = "nothing"
    FAILURE = "failure"
    NOT_FOUND = "not found"
    RATE_LIMIT = "rate limit"  # the order alone was answered 429; some of that is free


class AccountSignal(Enum):
    """What an outcome says about its account."""

    WELL = "Klarna gave a sensible answer"
    FAILING = "Klarna did not: 5xx, time-out, reset"
    REFUSED = "Klarna refuses the account"
    BUSY = "the account has spent its quota"
    MERCHANT = "Klarna did, and the merchant's own system did not"
    NONE = "nothing: the trouble is our own"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Klarna said 2xx to acknowledge."""

    signal: ClassVar[AccountSignal] = AccountSignal.WELL

    def step(self, push: Push, now: datetime) -> Change:
        """Settle the push."""
        return life.acknowledged(push, now)


@dataclass(frozen=True, slots=True)
class NotNeeded:
    """Klarna shows the order as closed."""

    signal: ClassVar[AccountSignal] = AccountSignal.WELL

    def step(self, push: Push, now: datetime) -> Change:
        """Settle the push."""
        return life.not_needed(push, now)


@dataclass(frozen=True, slots=True)
class Looked:
    """Klarna showed the order, and no acknowledge was due."""

    signal: ClassVar[AccountSignal] = AccountSignal.WELL

    def step(self, push: Push, now: datetime) -> Change:
        """Settle the push as it was before."""
        return fraud.looked(push, now)


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after `delay`."""

    delay: timedelta
    spends: Spends
    error: str
    signal: AccountSignal

    def step(self, push: Push, now: datetime) -> Change:
        """Give the push a time for its next attempt."""
        return life.retrying(
            push,
            now + self.delay,
            now,
            error=self.error,
            failed=self.spends is Spends.FAILURE,
            not_found=self.spends is Spends.NOT_FOUND,
            limited=self.spends is Spends.RATE_LIMIT,
        )


@dataclass(frozen=True, slots=True)
class RateLimited:
    """Try again when the account's pause is over, having spent nothing.

    `if_alone` is what it means when no other order of the account is answered 429.
    """

    pause: timedelta
    error: str
    if_alone: "Retry | Dead"
    signal: ClassVar[AccountSignal] = AccountSignal.BUSY

    def step(self, push: Push, now: datetime) -> Change:
        """Give the push a time for its next attempt."""
        return life.retrying(push, now + self.pause, now, error=self.error)


@dataclass(frozen=True, slots=True)
class Hold:
    """Wait with the account."""

    why: HoldReason
    error: str
    signal: AccountSignal = AccountSignal.REFUSED

    def step(self, push: Push, now: datetime) -> Change:
        """Hold the push."""
        return life.held(push, self.why, now, self.error)


@dataclass(frozen=True, slots=True)
class Dead:
    """Leave the push to an operator."""

    reason: Reason
    error: str
    signal: AccountSignal = AccountSignal.WELL

    def step(self, push: Push, now: datetime) -> Change:
        """Make the push a dead letter."""
        return life.dead(push, self.reason, now, self.error)


Outcome = Acknowledged | NotNeeded | Looked | Retry | RateLimited | Hold | Dead
