"""The chaos suite in its small form, and its judge held against broken promises made on purpose.

`make chaos` runs the large form.
"""

import re
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from redis import Redis

from devtools.chaos import (
    audit,
    bookkeeping,
    orders,
    page,
    plan,
    recovery,
    remains,
    report,
    weather,
)
from devtools.chaos.audit import Breach
from devtools.chaos.evidence import Evidence
from devtools.chaos.orders import Kind
from devtools.chaos.recovery import Hit, How
from devtools.chaos.result import Times, TrialResult
from devtools.chaos.scale import SMALL, trials
from devtools.local.processes import Processes
from devtools.local.sandbox_control import LoggedRequest, OrderBody
from pushes.model import Push, PushKey, Reason, State
from pushes.store import indexes, keys
from pushes.store.ledger import Ledger
from sandbox.faults.kinds import FAULTS
from tests.builders import NOW, a_push, an_order_id, put

SEED = "1"


@pytest.mark.parametrize("name", ["kills", "redis-always", "rolling", "in-a-row"])
def test_the_promise_is_kept_while(name: str) -> None:
    result = trials(SMALL, ["always"])[name](plan.seeded(SEED, name))

    for text in (report.table([result]), report.times([result]), report.kills([result])):
        sys.stdout.write(f"{text}\n\n")
    assert result.broken == []
    assert result.lost == 0
    assert result.accepted == result.orders
    assert (result.kills + result.others).total() >= SMALL.redis_kills


# The plan


def test_the_seed_fixes_the_plan_and_the_orders() -> None:
    def made(seed: str) -> tuple[object, object]:
        random = plan.seeded(seed, "a trial")
        return plan.make(random, 20, 30.0, plan.PROCESSES), orders.make(random, 50, 30.0)

    assert made("a") == made("a")
    assert made("a") != made("b")


def test_it_strikes_every_target_and_has_orders_of_every_kind() -> None:
    strikes = plan.make(plan.seeded(1, ""), 20, 30.0, plan.WITH_REDIS)
    made = orders.make(plan.seeded(1, ""), 400, 30.0)

    assert {strike.target for strike in strikes} == set(plan.WITH_REDIS)
    assert [strike.at_s for strike in strikes] == sorted(strike.at_s for strike in strikes)
    assert {order.kind for order in made} == set(Kind) == set(orders.ENDS)
    assert len({order.order_id for order in made}) == 400


def test_klarna_fails_in_all_of_the_sandboxs_ways() -> None:
    failures = (*weather.PASSING, *weather.FINAL, *weather.HOLDING)
    assert {failure.fault for failure in failures} == set(FAULTS)


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
    push: Push | None, order: OrderBody, *requests: LoggedRequest, kind: Kind = Kind.OPEN
) -> Evidence:
    order_id = order["order_id"]
    return Evidence(
        planned=[orders.ChaosOrder(order_id, kind, 0.0)],
        accepted=frozenset({order_id}),
        at_klarna={order_id: order},
        requests=list(requests),
        records={order_id: push},
    )


def breaches(seen: Evidence) -> list[str]:
    found = [*audit.lost(seen), *audit.untrue(seen), *audit.unverified(seen)]
    return [breach.what for breach in [*found, *audit.wrong_end(seen)]]


def record(state: State, order_id: str, **facts: object) -> Push:
    return a_push(state, PushKey("default", order_id), **facts)


def test_it_is_content_with_an_order_verified_and_acknowledged() -> None:
    order_id = an_order_id()
    calls = [a_request(order_id, "get_order"), a_request(order_id, "acknowledge", 204)]
    acknowledged = record(State.ACKNOWLEDGED, order_id)
    assert breaches(evidence(acknowledged, an_order(order_id, 1), *calls)) == []


def test_it_finds_a_push_that_is_gone() -> None:
    assert breaches(evidence(None, an_order(an_order_id()))) == ["lost", "wrong end"]


def test_it_finds_an_acknowledged_order_without_a_record() -> None:
    assert breaches(evidence(None, an_order(an_order_id(), 1))) == ["lost", "wrong end"]


def test_it_finds_a_push_that_waits_for_ever() -> None:
    order_id = an_order_id()
    seen = evidence(record(State.RETRYING, order_id), an_order(order_id))
    assert breaches(seen) == ["lost", "unsettled", "wrong end"]


def test_it_finds_a_dead_letter_without_a_reason() -> None:
    order_id = an_order_id()
    seen = evidence(record(State.DEAD, order_id, reason=None), an_order(order_id))
    assert "lost" in breaches(seen)


def test_it_finds_what_only_the_ledger_calls_acknowledged() -> None:
    order_id = an_order_id()
    seen = evidence(record(State.ACKNOWLEDGED, order_id), an_order(order_id))
    assert breaches(seen) == ["lost", "untrue"]


def test_it_finds_what_is_not_needed_though_the_order_is_open() -> None:
    order_id = an_order_id()
    seen = evidence(record(State.NOT_NEEDED, order_id), an_order(order_id))
    assert breaches(seen) == ["lost", "untrue", "wrong end"]


def test_it_accepts_each_kind_of_order_at_its_own_end_only() -> None:
    order_id = an_order_id()
    forged = evidence(record(State.DEAD, order_id), an_order(order_id), kind=Kind.FORGED)
    rejected = evidence(record(State.DEAD, order_id), an_order(order_id), kind=Kind.REJECTED)
    cancelled = evidence(
        record(State.NOT_NEEDED, order_id),
        an_order(order_id, status="CANCELLED"),
        kind=Kind.CANCELLED,
    )
    assert (breaches(forged), breaches(rejected), breaches(cancelled)) == ([], ["wrong end"], [])


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
    assert breaches(seen) == ["unverified"]


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
    assert breaches(seen) == ["unverified"]


def test_it_says_a_breach_in_a_line() -> None:
    assert str(Breach("lost", "an-id", "no record")) == "lost: an-id: no record"


# What is counted, and what is left


def test_it_finds_counts_that_disagree(processes: Processes, redis_client: Redis) -> None:
    ledger = Ledger(redis_client)
    web = processes.web().wait_ready()
    now = NOW + timedelta(days=10_000)  # none of it has expired
    for state in (State.DEAD, State.RETRYING, State.QUEUED):
        put(ledger, state, now=now)
    assert list(bookkeeping.disagreements(ledger, [web.url])) == []

    queue = ledger.rq.queue
    redis_client.delete(queue.key, queue.failed_job_registry.key)
    redis_client.zadd(queue.finished_job_registry.key, {"default_stranger": 9e9})
    assert list(bookkeeping.disagreements(ledger, [web.url])) == [
        "waiting: 1 in the ledger, 0 in RQ",
        "failed: 1 in the ledger, 0 in RQ",
        "finished: 1 of RQ's finished jobs are no settled pushes",
    ]


def test_it_finds_keys_that_never_expire(redis_client: Redis) -> None:
    ledger = Ledger(redis_client)
    for state in (State.DEAD, State.ACKNOWLEDGED, State.NOT_NEEDED):
        put(ledger, state)
    assert remains.left_for_ever(ledger) == []

    (settled,) = indexes.members(ledger.redis, State.ACKNOWLEDGED)
    redis_client.persist(keys.record(settled))
    redis_client.set("rq:something", 1)
    assert remains.left_for_ever(ledger) == [keys.record(settled), "rq:something"]


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
    hit, dead = Hit(order_id, killed_at, How.KILLED), Hit(an_order_id(), killed_at, How.KILLED)
    assert recovery.delays([hit, dead], calls, latency_s=1.0) == {hit: 2.0}


def test_it_tells_the_95th_of_a_hundred() -> None:
    times = Times("a hundred", [float(number) for number in range(100, 0, -1)])
    assert (times.quantile_s(0.5), times.quantile_s(0.95), times.slowest_s) == (50.0, 95.0, 100.0)


# The page


def test_it_writes_a_page_that_says_what_was_broken() -> None:
    result = TrialResult("a trial", orders=3, times=[Times("a wait", [1.0], 5.0)])
    result.kills.update({"workers": 2})
    fine = page.document([result], "python -m devtools.chaos", ["2 cores"], "2026-03-01")
    broken = page.document(
        [replace(result, broken=["lost: x"])], "python -m devtools.chaos", [], "today"
    )

    assert "| a trial | 3 | 2 | 0 | 0 | 0 | 0 | 1.0 s |" in fine
    assert "Broken invariants: none." in fine
    assert "- lost: x" in broken
    assert not re.search(r"(?<![\w./])/(?:home|root|tmp|work)\b", fine)


def test_it_says_dead_for_every_reason_that_an_order_can_be_doomed_to() -> None:
    reasons = {reason for state, reason in orders.ENDS.values() if state is State.DEAD}
    assert reasons == set(Reason) - {Reason.CRASH_LOOP, Reason.UNREADABLE, Reason.INTERNAL_ERROR}
