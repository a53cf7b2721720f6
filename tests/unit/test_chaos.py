"""The chaos suite's judge, held against broken promises made on purpose, and its plan and page."""

import re
from dataclasses import replace

import pytest

from devtools.chaos import faults, orders, plan, report
from devtools.chaos.audit import invariants, recovery
from devtools.chaos.audit.evidence import Evidence
from devtools.chaos.audit.invariants import Violation
from devtools.chaos.audit.recovery import InterruptedAttempt, Interruption
from devtools.chaos.orders import OrderKind
from devtools.chaos.result import Times, TrialResult
from devtools.local.sandbox_control import LoggedRequest, OrderBody
from devtools.local.seeds import seeded
from pushes.model import Push, PushKey, Reason, State
from sandbox.faults.kinds import FAULTS
from tests.builders import NOW, a_push, an_order_id

# The plan


def test_the_seed_fixes_the_plan_and_the_orders() -> None:
    def made(seed: str) -> tuple[object, object]:
        random = seeded(seed, "a trial")
        return plan.make(random, 20, 30.0, plan.PROCESSES), orders.make(random, 50, 30.0)

    assert made("a") == made("a")
    assert made("a") != made("b")


def test_it_kills_every_target_and_has_orders_of_every_kind() -> None:
    kills = plan.make(seeded("1", ""), 20, 30.0, plan.WITH_REDIS)
    made = orders.make(seeded("1", ""), 400, 30.0)

    assert {kill.target for kill in kills} == set(plan.WITH_REDIS)
    assert [kill.at_s for kill in kills] == sorted(kill.at_s for kill in kills)
    assert {order.kind for order in made} == set(OrderKind) == set(orders.OUTCOMES)
    assert len({order.order_id for order in made}) == 400


def test_klarna_fails_in_all_of_the_sandboxs_ways() -> None:
    chosen = (*faults.PASSING, *faults.FINAL, *faults.HOLDING)
    assert {fault.name for fault in chosen} == set(FAULTS)


# The audit, given an accepted order and what came of it


def a_request(
    order_id: str, operation: str, status: int | None = 200, **more: object
) -> LoggedRequest:
    request: LoggedRequest = {
        "seq": 1,
        "at": "2026-03-01T12:00:10.000Z",
        "method": "GET" if operation == "get_order" else "POST",
        "path": "/",
        "order_id": order_id,
        "operation": operation,
        "status": status,
        "effect": operation == "acknowledge",
        "idempotency_key": None,
        "replayed": False,
        "correlation_id": None,
        "user_agent": None,
        "authorized": True,
        "fault": None,
    }
    return request | more  # type: ignore[return-value]  # the caller names fields of Request


def an_order(order_id: str, effects: int = 0, status: str = "AUTHORIZED") -> OrderBody:
    return {
        "order_id": order_id,
        "status": status,
        "fraud_status": "ACCEPTED",
        "acknowledged": effects > 0,
        "acknowledge_effects": effects,
        "acknowledged_at": None,
        "requests": 0,
        "pushes": [],
        "next_push_at": None,
    }


def evidence(
    push: Push | None, order: OrderBody, *requests: LoggedRequest, kind: OrderKind = OrderKind.OPEN
) -> Evidence:
    order_id = order["order_id"]
    return Evidence(
        planned=[orders.ChaosOrder(order_id, kind, 0.0)],
        accepted=frozenset({order_id}),
        at_klarna={order_id: order},
        requests=list(requests),
        records={order_id: push},
    )


def violations(seen: Evidence) -> list[str]:
    found = [*invariants.lost(seen), *invariants.contradictions(seen)]
    found += [*invariants.unverified(seen), *invariants.wrong_outcomes(seen)]
    return [violation.what for violation in found]


def record(state: State, order_id: str, **facts: object) -> Push:
    return a_push(state, PushKey("default", order_id), **facts)


def test_it_is_content_with_an_order_verified_and_acknowledged() -> None:
    order_id = an_order_id()
    calls = [a_request(order_id, "get_order"), a_request(order_id, "acknowledge", 204)]
    acknowledged = record(State.ACKNOWLEDGED, order_id)
    assert violations(evidence(acknowledged, an_order(order_id, 1), *calls)) == []


def test_it_finds_a_push_that_is_gone() -> None:
    assert violations(evidence(None, an_order(an_order_id()))) == ["lost", "wrong outcome"]


def test_it_finds_an_acknowledged_order_without_a_record() -> None:
    assert violations(evidence(None, an_order(an_order_id(), 1))) == ["lost", "wrong outcome"]


def test_it_finds_a_push_that_waits_for_ever() -> None:
    order_id = an_order_id()
    seen = evidence(record(State.RETRYING, order_id), an_order(order_id))
    assert violations(seen) == ["lost", "unsettled", "wrong outcome"]


def test_it_finds_a_dead_letter_without_a_reason() -> None:
    order_id = an_order_id()
    seen = evidence(record(State.DEAD, order_id, reason=None), an_order(order_id))
    assert "lost" in violations(seen)


def test_it_finds_what_only_the_ledger_calls_acknowledged() -> None:
    order_id = an_order_id()
    seen = evidence(record(State.ACKNOWLEDGED, order_id), an_order(order_id))
    assert violations(seen) == ["lost", "contradiction"]


def test_it_finds_what_is_not_needed_though_the_order_is_open() -> None:
    order_id = an_order_id()
    seen = evidence(record(State.NOT_NEEDED, order_id), an_order(order_id))
    assert violations(seen) == ["lost", "contradiction", "wrong outcome"]


def test_it_accepts_each_kind_of_order_at_its_own_end_only() -> None:
    order_id = an_order_id()
    forged = evidence(record(State.DEAD, order_id), an_order(order_id), kind=OrderKind.FORGED)
    rejected = evidence(record(State.DEAD, order_id), an_order(order_id), kind=OrderKind.REJECTED)
    cancelled = evidence(
        record(State.NOT_NEEDED, order_id),
        an_order(order_id, status="CANCELLED"),
        kind=OrderKind.CANCELLED,
    )
    assert (violations(forged), violations(rejected), violations(cancelled)) == (
        [],
        ["wrong outcome"],
        [],
    )


@pytest.mark.parametrize(
    "calls",
    [
        ["acknowledge"],
        ["get_order", "acknowledge", "acknowledge"],
        ["acknowledge", "get_order"],
    ],
    ids=" ".join,
)
def test_it_finds_an_acknowledge_without_a_get_of_its_own(calls: list[str]) -> None:
    order_id = an_order_id()
    requests = [a_request(order_id, call) for call in calls]
    seen = evidence(record(State.ACKNOWLEDGED, order_id), an_order(order_id, 1), *requests)
    assert violations(seen) == ["unverified"]


@pytest.mark.parametrize(
    ("status", "fault"), [(404, None), (None, "reset_before_effect"), (200, "wrong_order_id")]
)
def test_it_counts_no_get_that_did_not_show_the_order(
    status: int | None, fault: str | None
) -> None:
    order_id = an_order_id()
    calls = [a_request(order_id, "get_order", status, fault=fault)]
    calls.append(a_request(order_id, "acknowledge", 204))
    seen = evidence(record(State.ACKNOWLEDGED, order_id), an_order(order_id, 1), *calls)
    assert violations(seen) == ["unverified"]


def test_it_says_a_violation_in_a_line() -> None:
    assert str(Violation("lost", "an-id", "no record")) == "lost: an-id: no record"


# The times


def test_it_measures_from_the_kill_to_the_next_attempt() -> None:
    order_id, other_id = an_order_id(), an_order_id()
    killed_at = NOW.timestamp() + 7
    calls = [
        a_request(order_id, "get_order", at="2026-03-01T12:00:06.000Z"),
        a_request(order_id, "get_order", at="2026-03-01T12:00:07.500Z"),  # sent before the kill
        a_request(order_id, "get_order", at="2026-03-01T12:00:10.000Z"),
        a_request(other_id, "get_order", at="2026-03-01T12:00:08.000Z"),
    ]
    again, never = (
        InterruptedAttempt(one, killed_at, Interruption.KILLED) for one in (order_id, an_order_id())
    )
    assert recovery.delays([again, never], calls, latency_s=1.0) == {again: 2.0}


# The page


def test_it_writes_a_page_that_says_what_was_broken() -> None:
    result = TrialResult("a trial", orders=3, times=[Times("a wait", [1.0], 5.0)])
    result.kills.update({"workers": 2})
    fine = report.page([result], "on 2026-03-01 with `this`, on 2 cores")
    broken = report.page([replace(result, broken=["lost: x"])], "today")

    assert "| a trial | 3 | 2 | 0 | 0 | 0 | 0 | 1.0 s |" in fine
    assert "Broken invariants: none." in fine
    assert "- lost: x" in broken
    assert not re.search(r"(?<![\w./])/(?:home|root|tmp|work)\b", fine)


def test_it_says_dead_for_every_reason_that_an_order_can_be_made_to_have() -> None:
    reasons = {reason for state, reason in orders.OUTCOMES.values() if state is State.DEAD}
    ours = {Reason.CRASH_LOOP, Reason.UNREADABLE, Reason.INTERNAL_ERROR}
    elsewhere = {Reason.FRAUD_MISMATCH, Reason.REFUSED_BY_MERCHANT}  # none is notified, handed over
    assert reasons == set(Reason) - ours - elsewhere
