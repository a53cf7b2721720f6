"""One attempt: GET the order to see that the push is authentic, then POST acknowledge.

Never acknowledges without a GET of the same attempt before it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from klarna import (
    KlarnaError,
    LocalError,
    MisconfigurationError,
    NotAllowedError,
    Observe,
    Order,
    PermanentError,
)
from pushes import fraud, log, policy, telemetry
from pushes.accounts.policies import DEFAULT_POLICIES, Policies
from pushes.fraud import FraudLook
from pushes.log import trace
from pushes.model import Push, PushKey, Reason
from pushes.policy import RetryPolicy
from worker.attempt import failures
from worker.attempt.attempt import Attempt, Ending, Report
from worker.attempt.failures import (
    MerchantFailedError,
    OrderRefusedError,
    RefusedByMerchantError,
)
from worker.attempt.hand_over.shop import MerchantSystem
from worker.attempt.outcomes import Acknowledged, Dead, Looked, NotNeeded, Outcome
from worker.attempt.steps import ReferencesClient, Remember, Steps, forget, idempotency_key
from worker.attempt.verify import Verdict, verify
from worker.claiming.quota import GRACE_S, QuotaSpentError
from worker.clock import SYSTEM_CLOCK, Clock

_log = log.get(__name__)

# A machine so busy that a thread misses so many slots in a row calls without one.
_SLOTS_MISSED = 3


# No order has it: Klarna's answer says whether it takes our credentials, and concerns no order.
_NO_ORDER = "00000000-0000-0000-0000-000000000000"

# What ends an attempt and is no fault of this service.
_NO_FAULT = (
    *(KlarnaError, QuotaSpentError, OrderRefusedError),
    *(MerchantFailedError, RefusedByMerchantError),
)


class OrderClient(Protocol):
    """What an attempt needs of `klarna.KlarnaClient`."""

    def get_order(self, order_id: str, *, observe: Observe) -> Order:
        """Fetch the order."""

    def acknowledge(self, order_id: str, *, idempotency_key: str, observe: Observe) -> None:
        """Tell Klarna that the order is known."""


@dataclass(frozen=True, slots=True)
class ServedAccount:
    """What an attempt needs of its account.

    `shop` where orders are handed over first; `references` where it may be set at Klarna what they
    are called.
    """

    client: OrderClient
    policies: Policies = DEFAULT_POLICIES
    shop: MerchantSystem | None = None
    references: ReferencesClient | None = None


class Slots(Protocol):
    """When calls may be made: `worker.quota.Quota`."""

    def reserve(self, account: str) -> float:
        """Reserve the next call of an account; return how many seconds away it is."""


class Acknowledger:
    """Makes attempts, each with its account as it is when it begins. Threads share it."""

    def __init__(  # noqa: PLR0913 - what an attempt needs, each given by its caller
        self,
        accounts: Mapping[str, ServedAccount],
        policy: RetryPolicy,
        random: Callable[[], float],
        slots: Slots,
        clock: Clock = SYSTEM_CLOCK,
        *,
        remember: Remember = forget,
    ) -> None:
        self._steps = Steps(self._await_slot, remember, clock)
        self._accounts = accounts
        self._slots = slots
        self._policy = policy
        self._random = random
        self._clock = clock

    def run(self, attempt: Attempt) -> Ending:
        """Make one attempt: wait for its slot, then make the calls to Klarna. Raises nothing."""
        with telemetry.attempting(attempt.push) as span:
            ending = self._run(attempt)
            span.note(ending.change.after)
        return ending

    def _run(self, attempt: Attempt) -> Ending:
        report = Report(self._clock)
        try:
            self._await_first_slot(attempt)
            outcome = self.attempt(attempt.push, report)
        except Exception as error:  # noqa: BLE001 - any failure must become a visible state
            outcome = self._judge(error, attempt.push)
        return Ending.of(attempt, outcome, report, self._clock.now())

    def attempt(self, push: Push, report: Report) -> Outcome:
        """Verify and acknowledge one order at Klarna; never raises for what Klarna does.

        Safe to repeat: GET changes nothing, and acknowledge carries the key of the push.
        """
        try:
            return self._call(self._accounts[push.key.account], push, report)
        except Exception as error:  # noqa: BLE001 - any failure must become a visible state
            return self._judge(error, push)

    def _await_first_slot(self, attempt: Attempt) -> None:
        """Wait for the slot that was reserved with the job; when it was missed, for another.

        One that was there at once may have passed: then slots are left over.
        """
        clock, slot_at = self._clock, attempt.slot_at
        if slot_at is None:
            return
        clock.sleep(max(0.0, slot_at - clock.monotonic()))
        if clock.monotonic() - slot_at > GRACE_S:
            self._await_slot(attempt.account)

    def _await_slot(self, account: str) -> None:
        """Wait for the next call that the account's quota allows.

        Raises QuotaSpentError, having waited for nothing, when that is too far away.
        """
        clock = self._clock
        for _ in range(_SLOTS_MISSED):
            wait_s = self._slots.reserve(account)
            at = clock.monotonic() + wait_s
            if wait_s:
                clock.sleep(wait_s)
            if clock.monotonic() - at <= GRACE_S:
                return

    def _call(self, account: ServedAccount, push: Push, report: Report) -> Outcome:
        report.hands_over = account.shop is not None
        order = self._get(account.client, push.key, report)
        verdict = verify(order, push.key.order_id, account.policies)
        if verdict is Verdict.MISMATCH:
            return Dead(Reason.ORDER_MISMATCH, f"Klarna answered with order {order.order_id[:36]}")
        report.verified(order)
        report.fraud = self._look_for_fraud(push, order)
        if push.only_notified:
            if account.shop:
                self._steps.hand_over_decision(account.shop, push, order, report)
            return Looked()
        if account.shop and verdict is not Verdict.OPEN:
            self._steps.try_to_hand_over_decision(account.shop, push, order, report)
        if verdict is Verdict.CLOSED:
            return NotNeeded()
        if verdict is Verdict.PENDING:
            return failures.decide_pending(push)
        try:
            self._acknowledge(account, push, order, report)
        except NotAllowedError:
            self._await_slot(push.key.account)
            order = account.client.get_order(push.key.order_id, observe=report.observe)
            if verify(order, push.key.order_id, account.policies) is not Verdict.CLOSED:
                raise
            report.verified(order)
            return NotNeeded()
        return Acknowledged()

    def _acknowledge(
        self, account: ServedAccount, push: Push, order: Order, report: Report
    ) -> None:
        """Acknowledge an order that was verified, after what its account wants done before."""
        if account.shop:
            self._steps.hand_over(account.shop, push, order, report)
            self._steps.try_to_hand_over_decision(account.shop, push, order, report)
        if account.references:
            self._steps.set_references(account.references, account.policies, push, order, report)
        self._await_slot(push.key.account)
        account.client.acknowledge(
            push.key.order_id,
            idempotency_key=idempotency_key(push.key, push.idempotent_since),
            observe=report.observe,
        )

    def _look_for_fraud(self, push: Push, order: Order) -> FraudLook | None:
        """Hold a fraud notification that is due against the order; None when none is."""
        if push.fraud_event is None:
            return None
        spent = fraud.failures_before(push)
        delay = policy.delay_after(spent, self._policy.delays_s, self._random)
        return FraudLook(push.fraud_event, order.fraud_status, delay)

    def _get(self, client: OrderClient, key: PushKey, report: Report) -> Order:
        """Fetch the order; tell a refusal of the account from one of this order.

        Anybody can push another merchant's order: what Klarna says to that must not hold the
        account. Raises OrderRefusedError when Klarna refuses this order only.
        """
        try:
            return client.get_order(key.order_id, observe=report.observe)
        except MisconfigurationError as error:
            self._await_slot(key.account)
            if not _answers(client):
                raise
            status = error.exchange.http_status if error.exchange else None
            raise OrderRefusedError(
                f"Klarna refuses this order ({status or error.cause}) and answers for others: it is"
                " probably another merchant's"
            ) from error

    def _judge(self, error: Exception, push: Push) -> Outcome:
        """Say what the error that ended an attempt means; what is our own fault is logged."""
        if isinstance(error, LocalError):
            _log.error(
                "attempt.out_of_resources",
                order_id=push.key.order_id,
                trace_id=trace.trace_id(push),
                meaning="this process or machine could not call Klarna; the push is tried again",
                action=str(error),
            )
        elif not isinstance(error, _NO_FAULT):
            _log.error(
                "attempt.failed_here",
                order_id=push.key.order_id,
                trace_id=trace.trace_id(push),
                meaning="this service failed, not Klarna; the push is tried again, then dead",
                action="report this with the traceback",
                exc_info=error,
            )
        return failures.decide(error, push, self._policy, self._random)


def _answers(client: OrderClient) -> bool:
    """Ask for an order that nobody has; say whether Klarna takes the account's credentials.

    Raises KlarnaError when its answer does not tell.
    """
    try:
        client.get_order(_NO_ORDER, observe=lambda _exchange: None)
    except MisconfigurationError:
        return False
    except PermanentError:
        return True
    return True
