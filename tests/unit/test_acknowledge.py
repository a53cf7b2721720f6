from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from klarna import (
    Exchange,
    KlarnaError,
    MisconfigurationCause,
    MisconfigurationError,
    NoSuchOrderError,
    NotAllowedError,
    Observe,
    Operation,
    Order,
    TransientError,
    parse_order,
)
from pushes.accounts.policies import DEFAULT_POLICIES, Policies
from pushes.fraud import FraudLook
from pushes.model import HoldReason, Push, Reason, State
from pushes.policy import RetryPolicy
from tests.builders import NOW, ManualClock, Unlimited, a_push
from worker.attempt.acknowledge import Acknowledger, ServedAccount
from worker.attempt.attempt import Report
from worker.attempt.outcomes import (
    AccountSignal,
    Acknowledged,
    Dead,
    Hold,
    Looked,
    NotNeeded,
    Outcome,
    Retry,
    Spends,
)
from worker.attempt.steps import idempotency_key
from worker.clock import SYSTEM_CLOCK, Clock

PUSH = a_push(State.RUNNING)


def an_order(status: str = "AUTHORIZED", order_id: str = PUSH.key.order_id) -> Order:
    return parse_order({"order_id": order_id, "status": status, "order_amount": 100})


@dataclass
class FakeKlarna:
    orders: list[Order | KlarnaError]
    answer: KlarnaError | None = None
    calls: list[str] = field(default_factory=list)

    def get_order(self, order_id: str, *, observe: Observe) -> Order:
        self.calls.append(f"GET {order_id}")
        observe(Exchange(Operation.GET_ORDER, 200, 5))
        order = self.orders.pop(0)
        if isinstance(order, KlarnaError):
            raise order
        return order

    def acknowledge(self, order_id: str, *, idempotency_key: str, observe: Observe) -> None:
        self.calls.append(f"POST {order_id} {idempotency_key}")
        observe(Exchange(Operation.ACKNOWLEDGE, 204, 5))
        if self.answer:
            raise self.answer


def attempt(
    klarna: FakeKlarna,
    push: Push = PUSH,
    clock: Clock = SYSTEM_CLOCK,
    policies: Policies = DEFAULT_POLICIES,
) -> tuple[Outcome, Report]:
    report = Report(clock)
    accounts = {"default": ServedAccount(klarna, policies)}
    acknowledger = Acknowledger(accounts, RetryPolicy(), lambda: 0.5, Unlimited(), clock)
    return acknowledger.attempt(push, report), report


def test_it_only_looks_at_an_order_for_a_notification() -> None:
    for status in ("AUTHORIZED", "CANCELLED"):
        order = replace(an_order(status), fraud_status="PENDING")
        klarna = FakeKlarna([order])
        push = replace(PUSH, fraud_event="FRAUD_RISK_ACCEPTED", only_notified=True, failures=1)

        outcome, report = attempt(klarna, push)

        assert outcome == Looked()
        assert klarna.calls == [f"GET {PUSH.key.order_id}"]
        assert report.fraud == FraudLook("FRAUD_RISK_ACCEPTED", "PENDING", timedelta(seconds=30))


def test_it_looks_for_a_notification_and_acknowledges_all_the_same() -> None:
    klarna = FakeKlarna([replace(an_order(), fraud_status="REJECTED")])
    push = replace(PUSH, fraud_event="FRAUD_RISK_ACCEPTED", failures=6)

    outcome, report = attempt(klarna, push)

    assert outcome == Acknowledged()
    assert len(klarna.calls) == 2
    assert report.fraud == FraudLook("FRAUD_RISK_ACCEPTED", "REJECTED", timedelta(seconds=5))


def test_it_looks_no_more_after_the_last_delay() -> None:
    klarna = FakeKlarna([replace(an_order(), fraud_status="REJECTED")])
    push = replace(PUSH, fraud_event="FRAUD_RISK_ACCEPTED", only_notified=True, failures=6)

    _, report = attempt(klarna, push)

    assert report.fraud == FraudLook("FRAUD_RISK_ACCEPTED", "REJECTED", None)


def test_it_gets_the_order_and_then_acknowledges_it() -> None:
    klarna = FakeKlarna([an_order()])

    outcome, report = attempt(klarna)

    key = idempotency_key(PUSH.key, PUSH.idempotent_since)
    assert outcome == Acknowledged()
    assert klarna.calls == [f"GET {PUSH.key.order_id}", f"POST {PUSH.key.order_id} {key}"]
    assert [(entry.call, entry.http_status) for entry in report.entries] == [
        ("get_order", 200),
        ("acknowledge", 204),
    ]
    assert report.order
    assert (report.order.status, report.order.order_amount) == ("AUTHORIZED", 100)


PATIENT = Policies(acknowledge_pending=False)


def a_pending_order() -> Order:
    facts = {"status": "AUTHORIZED", "fraud_status": "PENDING"}
    return parse_order({"order_id": PUSH.key.order_id, **facts})


def test_an_order_whose_fraud_check_is_pending_is_acknowledged_unless_its_account_waits() -> None:
    klarna = FakeKlarna([a_pending_order(), a_pending_order()])

    acknowledged, _ = attempt(klarna)
    waits, report = attempt(klarna, policies=PATIENT)

    assert acknowledged == Acknowledged()
    assert isinstance(waits, Retry)
    assert (waits.spends, waits.signal) == (Spends.NOTHING, AccountSignal.WELL)
    assert waits.delay == timedelta(minutes=1)
    assert [entry.call for entry in report.entries] == ["get_order"]
    assert report.order


def test_an_order_that_stays_pending_is_looked_at_less_often_and_is_dead_at_its_deadline() -> None:
    def looked_at(waited: timedelta) -> Outcome:
        push = replace(PUSH, changed_at=PUSH.first_push_at + waited)
        outcome, _ = attempt(FakeKlarna([a_pending_order()]), push, policies=PATIENT)
        return outcome

    later, last, over = map(
        looked_at,
        (timedelta(hours=24), timedelta(hours=47, minutes=50), timedelta(hours=47, minutes=59)),
    )

    assert isinstance(later, Retry)
    assert isinstance(last, Retry)
    assert later.delay == timedelta(hours=1)
    assert last.delay == timedelta(minutes=8)
    assert over == Dead(
        Reason.RETRIES_EXHAUSTED,
        "Klarna has not decided in time whether it takes the risk of fraud (PENDING)",
    )


def test_an_account_says_which_orders_need_no_acknowledgement() -> None:
    captured = Policies(not_needed_states=("CAPTURED",))

    left_alone, _ = attempt(FakeKlarna([an_order("CAPTURED")]), policies=captured)
    done, _ = attempt(FakeKlarna([an_order("CAPTURED")]))

    assert (left_alone, done) == (NotNeeded(), Acknowledged())


def test_it_notes_what_it_does_at_the_clocks_time() -> None:
    _, report = attempt(FakeKlarna([an_order()]), clock=ManualClock())

    assert [entry.at for entry in report.entries] == [NOW, NOW]


REFUSED = MisconfigurationError(
    MisconfigurationCause.FORBIDDEN, exchange=Exchange(Operation.GET_ORDER, 403, 5)
)
OTHER = "00000000-0000-0000-0000-000000000000"


def test_one_refused_order_is_no_fault_of_an_account_that_klarna_answers() -> None:
    klarna = FakeKlarna([REFUSED, NoSuchOrderError("404")])

    outcome, report = attempt(klarna)

    assert outcome == Retry(
        timedelta(seconds=5),
        Spends.FAILURE,
        "Klarna refuses this order (403) and answers for others: it is probably another merchant's",
        AccountSignal.WELL,
    )
    assert klarna.calls == [f"GET {PUSH.key.order_id}", f"GET {OTHER}"]
    assert len(report.entries) == 1  # the other call is none of this order's


def test_an_account_that_klarna_refuses_for_any_order_is_held() -> None:
    outcome, _ = attempt(FakeKlarna([REFUSED, REFUSED]))

    assert outcome == Hold(HoldReason.CREDENTIALS, MisconfigurationCause.FORBIDDEN.sentence[:200])


def test_a_refusal_that_nothing_explains_is_judged_by_what_came_last() -> None:
    outcome, _ = attempt(FakeKlarna([REFUSED, TransientError("HTTP 503")]))

    assert isinstance(outcome, Retry)
    assert (outcome.error, outcome.signal) == ("HTTP 503", AccountSignal.FAILING)


@pytest.mark.parametrize("status", ["CANCELLED", "EXPIRED", "CLOSED"])
def test_it_leaves_a_closed_order_alone(status: str) -> None:
    klarna = FakeKlarna([an_order(status)])

    outcome, _ = attempt(klarna)

    assert outcome == NotNeeded()
    assert len(klarna.calls) == 1


@pytest.mark.parametrize("status", ["AUTHORIZED", "PART_CAPTURED", "CAPTURED", "BRAND_NEW"])
def test_it_acknowledges_every_other_status(status: str) -> None:
    outcome, _ = attempt(FakeKlarna([an_order(status)]))

    assert outcome == Acknowledged()


def test_it_never_acknowledges_when_klarna_shows_another_order() -> None:
    other = an_order(order_id=PUSH.key.order_id.replace("1111", "9999"))
    klarna = FakeKlarna([other])

    outcome, report = attempt(klarna)

    assert isinstance(outcome, Dead)
    assert outcome.reason is Reason.ORDER_MISMATCH
    assert len(klarna.calls) == 1
    assert report.order is None


@pytest.mark.parametrize("error", [TransientError("t"), KlarnaError("k")])
def test_it_never_acknowledges_without_an_answer_to_the_get(error: KlarnaError) -> None:
    klarna = FakeKlarna([error])

    outcome, _ = attempt(klarna)

    assert isinstance(outcome, Retry)
    assert len(klarna.calls) == 1


@pytest.mark.parametrize(
    ("second_look", "expected"),
    [("CANCELLED", NotNeeded()), ("AUTHORIZED", Dead(Reason.NOT_ALLOWED, "no"))],
)
def test_it_looks_again_when_klarna_does_not_allow_the_acknowledge(
    second_look: str, expected: Outcome
) -> None:
    klarna = FakeKlarna([an_order(), an_order(second_look)], answer=NotAllowedError("no"))

    outcome, report = attempt(klarna)

    assert outcome == expected
    assert len(klarna.calls) == 3
    assert len(report.entries) == 3


def test_it_survives_a_fault_of_its_own() -> None:
    klarna = FakeKlarna([])  # its list is empty: an IndexError that nobody foresaw

    outcome, _ = attempt(klarna)

    assert isinstance(outcome, Retry)


def a_later_window(push: Push) -> str:
    assert push.idempotent_since
    return idempotency_key(push.key, push.idempotent_since + timedelta(hours=24))


@pytest.mark.parametrize(
    "other",
    [a_later_window, lambda _: idempotency_key(a_push().key, NOW)],
)
def test_it_names_each_order_and_window_with_a_key_of_its_own(other: Callable[[Push], str]) -> None:
    key = idempotency_key(PUSH.key, PUSH.idempotent_since)

    assert key == idempotency_key(PUSH.key, PUSH.idempotent_since)
    assert key != other(PUSH)
