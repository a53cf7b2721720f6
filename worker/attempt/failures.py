"""What a failed attempt means: try again, hold the account, or give up. Pure.

The class of the error is the decision; no status code is looked at here.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from klarna import (
    KlarnaError,
    LocalError,
    MisconfigurationError,
    NoSuchOrderError,
    NotAllowedError,
    PermanentError,
    RateLimitedError,
)
from pushes.model import HoldReason, Push, Reason
from pushes.policy import (
    LAST_ATTEMPT_BEFORE,
    LIMITED_FREELY,
    RetryPolicy,
    delay_after,
    pending_delay,
    within,
)
from worker.attempt.outcomes import (
    AccountSignal,
    Dead,
    Hold,
    Outcome,
    RateLimited,
    Retry,
    Spends,
)
from worker.claiming.quota import QuotaSpentError

# Klarna counts requests per second (Klarna docs, "Rate limiting"): the next window is close.
_QUOTA_WINDOW = timedelta(seconds=1)

# Klarna asks for seconds; a Retry-After of a day is a proxy's mistake and would cost the order.
_LONGEST_PAUSE = timedelta(hours=1)

# An order that missed its slot stands in the queue again after this, and waits there for another.
_MISSED_SLOT = timedelta(seconds=5)

# What an order that may yet die of this says of its account.
_SIGNS = {
    Reason.NOT_ALLOWED: AccountSignal.WELL,
    Reason.NO_SUCH_ORDER: AccountSignal.WELL,
    Reason.RETRIES_EXHAUSTED: AccountSignal.FAILING,
    Reason.INTERNAL_ERROR: AccountSignal.NONE,
}


class OrderRefusedError(Exception):
    """Klarna refuses to show one order, as if the account were wrong, and answers for others."""


class RefusedByMerchantError(Exception):
    """The merchant's own system does not want the order; the message has its words."""


class MerchantFailedError(Exception):
    """The merchant's own system did not say whether it has the order."""


class NoPathError(MerchantFailedError):
    """The shop's plugin cannot be called: the push did not say by which path."""


def decide(
    error: Exception, push: Push, policy: RetryPolicy, random: Callable[[], float]
) -> Outcome:
    """Judge the error that ended an attempt for `push`. `random` returns 0 to 1, for jitter.

    No delay jumps past the deadline while there is time for an attempt before it. That includes
    Klarna's own `Retry-After`: one call too early is refused and spends nothing, one too late
    finds that Klarna has stopped pushing.
    """
    text = str(error)[:200] or type(error).__name__
    left = push.deadline_at - push.changed_at  # when the attempt began: half a minute ago at most
    outcome: Outcome
    match error:
        case RateLimitedError():
            pause = within(_pause(error.retry_after_s), left)
            outcome = RateLimited(pause, text, _limited_alone(push, pause, policy, random, text))
        case QuotaSpentError():
            wait = min(timedelta(seconds=error.wait_s), _MISSED_SLOT)
            outcome = Retry(wait, Spends.NOTHING, text, AccountSignal.NONE)
        case OrderRefusedError():
            delay = delay_after(push.failures, policy.delays_s, random)
            outcome = _again(delay, left, Spends.FAILURE, Reason.NOT_ALLOWED, text)
        case RefusedByMerchantError():
            outcome = Dead(Reason.REFUSED_BY_MERCHANT, text)
        case MerchantFailedError():
            delay = delay_after(push.failures, policy.delays_s, random)
            outcome = _again(delay, left, Spends.FAILURE, Reason.RETRIES_EXHAUSTED, text)
            is_shops = not isinstance(error, NoPathError)
            outcome = replace(
                outcome, signal=AccountSignal.MERCHANT if is_shops else AccountSignal.WELL
            )
        case MisconfigurationError():
            outcome = Hold(HoldReason.CREDENTIALS, text)
        case NoSuchOrderError():
            delay = delay_after(push.not_found, policy.not_found_delays_s, random)
            outcome = _again(delay, left, Spends.NOT_FOUND, Reason.NO_SUCH_ORDER, text)
        case NotAllowedError():
            outcome = Dead(Reason.NOT_ALLOWED, text)
        case PermanentError():
            outcome = Dead(Reason.REJECTED, text)
        case _:  # Klarna's trouble, which is transient, or our own
            ours = isinstance(error, LocalError) or not isinstance(error, KlarnaError)
            last = Reason.INTERNAL_ERROR if ours else Reason.RETRIES_EXHAUSTED
            delay = delay_after(push.failures, policy.delays_s, random)
            outcome = _again(delay, left, Spends.FAILURE, last, text)
    return outcome


def decide_pending(push: Push) -> Outcome:
    """Judge an order whose fraud check is pending, for an account that waits until it is decided.

    It spends nothing. Once there is no time for another look before the deadline, it is dead.
    """
    left = push.deadline_at - push.changed_at
    if left <= LAST_ATTEMPT_BEFORE:
        text = "Klarna has not decided in time whether it takes the risk of fraud (PENDING)"
        return Dead(Reason.RETRIES_EXHAUSTED, text)
    delay = within(pending_delay(push.changed_at - push.first_push_at), left)
    text = "Klarna has not decided yet whether it takes the risk of fraud (PENDING)"
    return Retry(delay, Spends.NOTHING, text, AccountSignal.WELL)


def _limited_alone(
    push: Push,
    pause: timedelta,
    policy: RetryPolicy,
    random: Callable[[], float],
    text: str,
) -> Retry | Dead:
    """Say what 429 means to an order that alone is answered so: in the end it spends attempts."""
    if push.limited < LIMITED_FREELY:
        return Retry(pause, Spends.RATE_LIMIT, text, AccountSignal.BUSY)
    delay = delay_after(push.failures, policy.delays_s, random)
    if delay is None:
        return Dead(Reason.RETRIES_EXHAUSTED, text, AccountSignal.BUSY)
    return Retry(max(pause, delay), Spends.FAILURE, text, AccountSignal.BUSY)


def _again(
    delay: timedelta | None, left: timedelta, spends: Spends, last: Reason, text: str
) -> Retry | Dead:
    signal = _SIGNS[last]
    if delay is None:
        return Dead(last, text, signal)
    return Retry(within(delay, left), spends, text, signal)


def _pause(retry_after_s: float | None) -> timedelta:
    if retry_after_s is None:
        return _QUOTA_WINDOW
    return max(_QUOTA_WINDOW, min(timedelta(seconds=retry_after_s), _LONGEST_PAUSE))
