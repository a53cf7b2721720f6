"""Two worker processes judge together: one quota, one hold, one alarm, whoever notices."""

import subprocess
import sys
from datetime import datetime
from typing import cast

import pytest
from redis import Redis

from devtools.local.processes import ROOT, Processes, Web, Worker, poll
from pushes.accounts.holds import Holds
from pushes.model import HoldReason, State
from tests.e2e.test_promise import Scene, push_all
from tests.e2e.test_promise import world as world  # noqa: PLC0414 - the fixture is used here, too

# Klarna's playground, and the default for a URL that nobody knows.
QUOTA_PER_S = 50

# The slots keep to the quota; a machine that has other things to do lets some calls arrive late,
# together with others.
LATENESS = 1.2


@pytest.fixture
def workers(processes: Processes) -> list[Worker]:
    both = [processes.worker(), processes.worker()]
    return [worker.wait_ready() for worker in both]


@pytest.fixture
def web(processes: Processes) -> Web:
    return processes.web().wait_ready()


def operate(processes: Processes, *arguments: str) -> None:
    """Do what an operator does, in the terminal."""
    subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        env={"REDIS_URL": processes.env["REDIS_URL"]},
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=30,
    )


def attempts_by_worker(redis: Redis) -> list[int]:
    names = cast(set[bytes], redis.smembers("rq:workers"))
    done = [cast(bytes | None, redis.hget(name.decode(), "successful_job_count")) for name in names]
    return [int(count or 0) for count in done]


def alarms(workers: list[Worker], event: str) -> int:
    return sum(worker.log.count(f'"event": "{event}"') for worker in workers)


def test_two_workers_share_the_quota_of_an_account(
    world: Scene, web: Web, workers: list[Worker], redis_client: Redis
) -> None:
    order_ids = world.sandbox.create_orders(count=120)

    push_all(web, order_ids)
    world.wait_until(order_ids, State.ACKNOWLEDGED, within_s=60)

    seen = world.sandbox.requests()
    assert len(seen) == 2 * len(order_ids)
    times = [datetime.fromisoformat(request["at"]).timestamp() for request in seen]
    busiest = max(sum(at <= other < at + 1 for other in times) for at in times)
    assert busiest <= QUOTA_PER_S * LATENESS  # each for itself, they would make twice as many
    poll(lambda: all(attempts_by_worker(redis_client)), 20, "one of the workers did nothing")
    assert len(workers) == 2


def test_an_outage_spends_no_attempts_and_is_told_once(
    world: Scene, web: Web, workers: list[Worker], processes: Processes
) -> None:
    fault = world.sandbox.add_fault("status", operation="any", params={"status": 503})
    order_ids = world.sandbox.create_orders(count=40)

    push_all(web, order_ids)
    holds = Holds(world.ledger.redis)
    poll(lambda: holds.get("default"), 20)
    late = world.sandbox.create_orders(count=5)
    push_all(web, late)
    world.wait_until([*order_ids, *late], State.HELD, State.RETRYING)
    spent = [world.record(order_id).failures for order_id in order_ids]

    assert fault
    assert sum(spent) < 2 * 10  # what ended before the tenth failure was counted
    assert [world.record(order_id).attempts for order_id in late] == [0] * 5
    world.sandbox.clear_faults()
    world.wait_until([*order_ids, *late], State.ACKNOWLEDGED, within_s=90)
    assert alarms(workers, "account.held") == 1
    assert alarms(workers, "account.resumed") == 1
    assert alarms(workers, "push.dead") == 0
    assert processes.logs().count("push.abandoned") == 0


def test_a_wrong_password_is_tried_by_one_order_and_told_once(
    world: Scene, web: Web, workers: list[Worker], processes: Processes
) -> None:
    world.sandbox.settings(password="rotated")
    order_ids = world.sandbox.create_orders(count=40)

    push_all(web, order_ids)
    world.wait_until(order_ids, State.HELD)
    hold = Holds(world.ledger.redis).get("default")
    calls = len(world.sandbox.requests())

    assert hold
    assert hold.reason is HoldReason.CREDENTIALS
    assert "user name and password" in hold.cause
    # What both workers had under way when it was noticed, each with a look at another order.
    assert calls <= 2 * 32 * 2
    world.sandbox.settings(password="sandbox")
    operate(processes, "resume")
    world.wait_until(order_ids, State.ACKNOWLEDGED, within_s=60)
    assert alarms(workers, "account.held") == 1
    assert {world.record(order_id).failures for order_id in order_ids} == {0}


REFUSALS: dict[str, dict[str, object]] = {
    "unauthorized_html": {},
    "not_allowed": {},
    "forbidden_html": {},
    "rate_limited": {"retry_after_s": 3600},
}


@pytest.mark.parametrize("fault", REFUSALS)
def test_one_refused_order_neither_holds_nor_pauses_its_account(
    world: Scene, web: Web, workers: list[Worker], fault: str
) -> None:
    foreign, *order_ids = world.sandbox.create_orders(count=10)
    world.sandbox.add_fault(fault, operation="get_order", order_id=foreign, params=REFUSALS[fault])

    push_all(web, [foreign])
    world.wait_until([foreign], State.RETRYING)
    push_all(web, order_ids)
    world.wait_until(order_ids, State.ACKNOWLEDGED, within_s=15)

    standing = Holds(world.ledger.redis).standing("default")
    assert (standing.hold, standing.pause) == (None, None)
    assert alarms(workers, "account.held") == 0
    assert {world.record(order_id).attempts for order_id in order_ids} == {1}


def test_an_operator_pauses_and_resumes_an_account(
    world: Scene, web: Web, workers: list[Worker], processes: Processes
) -> None:
    operate(processes, "pause", "--why", "new credentials", "--by", "ops")
    order_ids = world.sandbox.create_orders(count=3)

    push_all(web, order_ids)
    world.wait_until(order_ids, State.HELD)
    calls = world.sandbox.requests()
    operate(processes, "resume")
    world.wait_until(order_ids, State.ACKNOWLEDGED)

    assert calls == []
    assert alarms(workers, "account.held") == 0
    assert {world.calls(order_id) for order_id in order_ids} == {"GET 200, ACK 204"}
