"""What a failed attempt means: try again, hold the account, or give up. Pure.

The class of the error is the decision; no status code is looked at here.
"""

from collections.abc import Callable
from datetime import timedelta

from klarna import (
    KlarnaError,
    MisconfigurationError,
    NoSuchOrderError,
    NotAllowedError,
    PermanentError,
    RateLimitedError,
)
from pushes.model import HoldReason, Push, Reason
from pushes.policy import RetryPolicy, delay_after, within
from worker.attempt.outcomes import AccountSignal, Dead, Hold, Outcome, Retry, Spends
from worker.claiming.quota import QuotaSpentError

# Klarna counts requests per second (Klarna docs, "Rate limiting"): the next window is close.
_QUOTA_WINDOW = timedelta(seconds=1)

# Klarna asks for seconds; a Retry-After of a day is a proxy's mistake and would cost the order.
_LONGEST_PAUSE = timedelta(hours=1)

# What an order that may yet die of this says of its account.
_SIGNS = {
    Reason.NO_SUCH_ORDER: AccountSignal.WELL,
    Reason.RETRIES_EXHAUSTED: AccountSignal.FAILING,
    Reason.INTERNAL_ERROR: AccountSignal.NONE,
}


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
            outcome = Retry(pause, Spends.NOTHING, text, AccountSignal.BUSY)
        case QuotaSpentError():
            outcome = Retry(
                timedelta(seconds=error.wait_s), Spends.NOTHING, text, AccountSignal.NONE
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
            ours = not isinstance(error, KlarnaError)
            last = Reason.INTERNAL_ERROR if ours else Reason.RETRIES_EXHAUSTED
            delay = delay_after(push.failures, policy.delays_s, random)
            outcome = _again(delay, left, Spends.FAILURE, last, text)
    return outcome


def _again(
    delay: timedelta | None, left: timedelta, spends: Spends, last: Reason, text: str
) -> Outcome:
    signal = _SIGNS[last]
    if delay is None:
        return Dead(last, text, signal)
    return Retry(within(delay, left), spends, text, signal)


def _pause(retry_after_s: float | None) -> timedelta:
    if retry_after_s is None:
        return _QUOTA_WINDOW
    return max(_QUOTA_WINDOW, min(timedelta(seconds=retry_after_s), _LONGEST_PAUSE))
