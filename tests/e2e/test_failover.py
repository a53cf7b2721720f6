"""Whole processes over a Redis that fails over: its master is lost, or demoted, as they run."""

import requests
from redis import Redis

from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import Processes, Web, poll
from devtools.local.sandbox_control import SandboxControl
from pushes.store.rq_mirror import LEASE_S
from tests.e2e.test_behaviour import acknowledges, assert_verified_before_acknowledged
from tests.replication import VirtualAddress, follow, promote

# A lease, two looks of the recovery, and a machine that has other things to do.
RECOVERY_S = LEASE_S + 2 * 5 + 30.0


def push(web: Web, order_id: str) -> int:
    return requests.post(
        f"{web.url}/push", params={"klarna_order_id": order_id}, timeout=10
    ).status_code


def wait_until_acknowledged(sandbox: SandboxControl, order_ids: list[str]) -> None:
    def all_are() -> bool:
        seen = acknowledges(sandbox.requests())
        return set(order_ids) <= {one["order_id"] for one in seen if one["status"] == 204}

    poll(all_are, RECOVERY_S, "not acknowledged")
    assert_verified_before_acknowledged(sandbox.requests())


def test_what_was_answered_200_is_acknowledged_though_the_master_is_lost(
    processes: Processes,
    sandbox: SandboxControl,
    replica: EmbeddedServer,
    address: VirtualAddress,
) -> None:
    """With REDIS_WAIT_REPLICAS: pushes that wait are on the replica, which takes over."""
    web = processes.web(REDIS_URL=address.url, REDIS_WAIT_REPLICAS="1").wait_ready()
    *before, refused, after = sandbox.create_orders(count=42)

    assert {push(web, order_id) for order_id in before} == {200}
    replica.freeze()
    assert push(web, refused) == 503
    replica.thaw()
    address.leads_to.kill()  # no worker has seen any of them
    promote(replica)
    address.leads_to = replica
    with EmbeddedServer(password=replica.password) as third:
        poll(lambda: push(web, after) == 503, 30)  # it has no replica yet
        follow(third, replica)
        poll(lambda: push(web, after) == 200, 30)
        processes.worker(REDIS_URL=address.url)
        wait_until_acknowledged(sandbox, [*before, after])


def test_a_demoted_server_behind_the_same_address_refuses_no_push(
    processes: Processes,
    sandbox: SandboxControl,
    replica: EmbeddedServer,
    address: VirtualAddress,
) -> None:
    """Web process and worker go on with the new master, without a start."""
    web = processes.web(REDIS_URL=address.url).wait_ready()
    worker = processes.worker(REDIS_URL=address.url).wait_ready()
    order_ids = sandbox.create_orders(count=60)

    assert [push(web, order_id) for order_id in order_ids[:30]] == [200] * 30
    wait_until_acknowledged(sandbox, order_ids[:30])
    address.switch(replica)
    assert [push(web, order_id) for order_id in order_ids[30:]] == [200] * 30
    wait_until_acknowledged(sandbox, order_ids[30:])

    assert worker.exit_code is None
    with Redis.from_url(replica.url) as client:
        assert client.info("replication")["role"] == "master"
        # Klarna's answer comes before its record, which a failover may lose: then it is made again.
        poll(lambda: client.zcard("klarna-ack:state:acknowledged") == 60, RECOVERY_S)
