from dataclasses import replace
from datetime import timedelta

import pytest

from klarna import (
    LocalError,
    MisconfigurationCause,
    MisconfigurationError,
    NoSuchOrderError,
    NotAllowedError,
    RateLimitedError,
    RejectedError,
    TransientError,
)
from pushes import life
from pushes.model import HoldReason, Reason, State
from pushes.policy import LIMITED_FREELY, RetryPolicy
from tests.builders import NOW, a_push
from worker.attempt.failures import OrderRefusedError, decide
from worker.attempt.outcomes import AccountSignal, Dead, Hold, Outcome, RateLimited, Retry, Spends
from worker.claiming.quota import QuotaSpentError

POLICY = RetryPolicy((10, 20), (1, 2))


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


@pytest.mark.parametrize(
    ("error", "failures", "not_found", "outcome"),
    [
        (TransientError("t"), 0, 9, Retry(seconds(10), Spends.FAILURE, "t", AccountSignal.FAILING)),
        (TransientError("t"), 1, 9, Retry(seconds(20), Spends.FAILURE, "t", AccountSignal.FAILING)),
        (TransientError("t"), 2, 0, Dead(Reason.RETRIES_EXHAUSTED, "t", AccountSignal.FAILING)),
        (NoSuchOrderError("n"), 9, 0, Retry(seconds(1), Spends.NOT_FOUND, "n", AccountSignal.WELL)),
        (NoSuchOrderError("n"), 0, 2, Dead(Reason.NO_SUCH_ORDER, "n", AccountSignal.WELL)),
        (NotAllowedError("a"), 0, 0, Dead(Reason.NOT_ALLOWED, "a")),
        (RejectedError("r"), 0, 0, Dead(Reason.REJECTED, "r")),
        (KeyError("k"), 0, 0, Retry(seconds(10), Spends.FAILURE, "'k'", AccountSignal.NONE)),
        (OrderRefusedError("o"), 1, 0, Retry(seconds(20), Spends.FAILURE, "o", AccountSignal.WELL)),
        (OrderRefusedError("o"), 2, 0, Dead(Reason.NOT_ALLOWED, "o", AccountSignal.WELL)),
        (LocalError("l"), 0, 0, Retry(seconds(10), Spends.FAILURE, "l", AccountSignal.NONE)),
        (LocalError("l"), 2, 0, Dead(Reason.INTERNAL_ERROR, "l", AccountSignal.NONE)),
        (KeyError("k"), 2, 0, Dead(Reason.INTERNAL_ERROR, "'k'", AccountSignal.NONE)),
    ],
)
def test_it_judges_by_the_class_of_the_error(
    error: Exception, failures: int, not_found: int, outcome: Outcome
) -> None:
    push = a_push(State.RUNNING, failures=failures, not_found=not_found)

    assert decide(error, push, POLICY, lambda: 0.5) == outcome


@pytest.mark.parametrize(
    ("retry_after_s", "delay_s"), [(None, 1), (0, 1), (7, 7), (86_400, 3600), (-5, 1)]
)
def test_it_waits_as_long_as_klarna_asks_within_reason(
    retry_after_s: float | None, delay_s: float
) -> None:
    outcome = decide(RateLimitedError(retry_after_s), a_push(State.RUNNING), POLICY, lambda: 0.5)

    assert isinstance(outcome, RateLimited)
    assert (outcome.pause, outcome.signal) == (seconds(delay_s), AccountSignal.BUSY)
    assert outcome.if_alone == Retry(
        seconds(delay_s), Spends.RATE_LIMIT, outcome.error, AccountSignal.BUSY
    )


def test_429_again_and_again_to_one_order_alone_spends_its_attempts() -> None:
    def outcome(failures: int) -> Outcome:
        push = a_push(State.RUNNING, limited=LIMITED_FREELY, failures=failures)
        limited = decide(RateLimitedError(15), push, POLICY, lambda: 0.5)
        assert isinstance(limited, RateLimited)
        return limited.if_alone

    text = "Klarna asks for a pause of 15 s (429)"
    assert [outcome(failures) for failures in range(3)] == [
        Retry(seconds(15), Spends.FAILURE, text, AccountSignal.BUSY),
        Retry(seconds(20), Spends.FAILURE, text, AccountSignal.BUSY),
        Dead(Reason.RETRIES_EXHAUSTED, text, AccountSignal.BUSY),
    ]


def test_an_order_whose_slot_is_far_away_stands_in_the_queue_again_soon() -> None:
    outcome = decide(QuotaSpentError(3600), a_push(State.RUNNING), POLICY, lambda: 0.5)

    assert isinstance(outcome, Retry)
    assert (outcome.delay, outcome.spends) == (seconds(5), Spends.NOTHING)


def test_it_gives_an_order_up_at_the_one_look_that_a_repeated_push_gets() -> None:
    unknown = a_push(State.DEAD, not_found=2)
    revived = life.pushed_again(unknown, NOW + timedelta(hours=4)).after
    running = life.started(revived, "w", "a" * 32, NOW + timedelta(hours=4))
    assert running

    outcome = decide(NoSuchOrderError("n"), running.after, POLICY, lambda: 0.5)

    assert outcome == Dead(Reason.NO_SUCH_ORDER, "n")


@pytest.mark.parametrize("error", [TransientError("t"), KeyError("k"), RateLimitedError(600)])
def test_it_makes_the_last_attempt_shortly_before_the_deadline(error: Exception) -> None:
    def delay(left: timedelta) -> timedelta:
        push = a_push(State.RUNNING)
        push = replace(push, changed_at=push.deadline_at - left)
        outcome = decide(error, push, RetryPolicy((600,), (600,)), lambda: 0.5)
        if isinstance(outcome, RateLimited):
            return outcome.pause
        assert isinstance(outcome, Retry)
        return outcome.delay

    assert delay(timedelta(hours=1)) == seconds(600)
    assert delay(timedelta(minutes=9)) == timedelta(minutes=7)
    assert delay(timedelta(minutes=2)) == seconds(600)
    assert delay(timedelta(hours=-1)) == seconds(600)


def test_it_looks_for_an_unknown_order_shortly_before_the_deadline() -> None:
    push = a_push(State.RUNNING)
    push = replace(push, changed_at=push.deadline_at - timedelta(minutes=3))

    outcome = decide(NoSuchOrderError("n"), push, RetryPolicy((600,), (600,)), lambda: 0.5)

    assert outcome == Retry(timedelta(minutes=1), Spends.NOT_FOUND, "n", AccountSignal.WELL)


@pytest.mark.parametrize("cause", list(MisconfigurationCause))
def test_it_holds_what_no_order_is_to_blame_for(cause: MisconfigurationCause) -> None:
    outcome = decide(MisconfigurationError(cause), a_push(State.RUNNING), POLICY, lambda: 0.5)

    assert outcome == Hold(HoldReason.CREDENTIALS, cause.sentence[:200])
