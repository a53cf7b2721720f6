"""With REDIS_WAIT_REPLICAS, "done" means on replicas, too; and a demoted server is left alone."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from redis import Redis
from redis.exceptions import RedisError
from redis.sentinel import MasterNotFoundError

from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import poll
from pushes.model import Change, PushKey, State
from pushes.store import records
from pushes.store.connection import NoReplicasError, NotMasterError, connect
from pushes.store.ledger import CommitResult, Ledger
from pushes.store.server.replicas import NotReplicatedError
from service import make_app
from service.settings import load
from tests.builders import NOW, ScriptedAcknowledger, a_key, history, put, worker_parts
from tests.integration.test_cli_support import run
from tests.replication import VirtualAddress, promote
from worker.attempt.outcomes import Acknowledged


@pytest.fixture
def client_of_replica(replica: EmbeddedServer) -> Iterator[Redis]:
    with Redis.from_url(replica.url) as client:
        yield client


def push(client: FlaskClient, key: PushKey) -> int:
    return client.post(f"/push?klarna_order_id={key.order_id}").status_code


def web(url: str, wait_replicas: int) -> FlaskClient:
    settings = {"REDIS_URL": url, "REDIS_WAIT_REPLICAS": str(wait_replicas)}
    return make_app(load(settings)).test_client()


def test_it_answers_200_only_for_what_a_replica_has(
    master: EmbeddedServer, replica: EmbeddedServer, client_of_replica: Redis
) -> None:
    client, key = web(master.url, 1), a_key()

    assert push(client, a_key()) == 200
    replica.freeze()
    assert [push(client, key) for _ in range(2)] == [503, 503]
    ready = client.get("/readyz")
    replica.thaw()
    poll(lambda: push(client, key) == 200, 10)

    assert ready.status_code == 503
    assert "Too few replicas have what was written" in ready.text
    assert client.get("/readyz").status_code == 200
    there = records.get(client_of_replica, key)
    assert there
    assert there.state is State.QUEUED
    assert Ledger(client_of_replica).rq.queue.get_job_ids().count(f"default_{key.order_id}") == 1


def test_without_the_setting_no_replica_is_waited_for(
    master: EmbeddedServer, replica: EmbeddedServer
) -> None:
    client = web(master.url, 0)
    replica.freeze()

    assert push(client, a_key()) == 200
    assert client.get("/readyz").status_code == 200


def test_more_replicas_than_there_are_take_no_push(
    master: EmbeddedServer, replica: EmbeddedServer
) -> None:
    assert replica.is_running
    assert push(web(master.url, 2), a_key()) == 503


def test_a_batch_is_made_again_until_a_replica_has_it(
    master: EmbeddedServer, replica: EmbeddedServer, client_of_replica: Redis
) -> None:
    with Redis.from_url(master.url) as redis:
        ledger = Ledger(redis, wait_replicas=1)
        changes = [history(State.QUEUED, a_key())[0] for _ in range(5)]

        replica.freeze()
        for _ in range(2):
            with pytest.raises(NotReplicatedError, match="0 of 1 replicas have it"):
                ledger.commit_each(changes)
        replica.thaw()
        results = poll(lambda: _made(ledger, changes), 10)

        assert results == [CommitResult.MADE] * 5
        assert len(Ledger(client_of_replica).rq.queue) == 5


def _made(ledger: Ledger, changes: list[Change]) -> list[CommitResult] | None:
    with suppress(NotReplicatedError):
        return ledger.commit_each(changes)
    return None


def test_a_worker_goes_on_while_no_replica_answers(
    master: EmbeddedServer, replica: EmbeddedServer
) -> None:
    """What a failover loses of an attempt is found out at Klarna again."""
    with Redis.from_url(master.url) as redis:
        key = put(Ledger(redis), State.QUEUED).key
        worker = worker_parts(redis)
        replica.freeze()

        attempts = worker.starter.start(worker.claims.claim(1).claims)
        worker.settler.settle([ScriptedAcknowledger(Acknowledged()).run(attempts[0])])

        settled = records.get(redis, key)
    assert settled
    assert settled.state is State.ACKNOWLEDGED


def test_an_operator_is_told_that_a_failover_could_lose_what_was_done(
    master: EmbeddedServer, replica: EmbeddedServer
) -> None:
    with Redis.from_url(master.url) as redis:
        key = put(Ledger(redis), State.DEAD).key
    replica.freeze()

    for words in (
        f"dead replay {key.order_id} --why test",
        "pause --why test",
        "user add anna --role viewer --no-password",
        "token add board --role viewer",
    ):
        result = run(master.url, *words.split(), REDIS_WAIT_REPLICAS="1")

        assert result.exit_code == 1
        assert "replicas" in result.stderr
    replica.thaw()
    assert run(master.url, "resume", REDIS_WAIT_REPLICAS="1").exit_code == 0


def test_what_was_answered_200_survives_the_loss_of_the_master(
    master: EmbeddedServer, replica: EmbeddedServer
) -> None:
    client, accepted = web(master.url, 1), []
    for number in range(220):
        if number == 200:
            master.kill()
        key = a_key()
        if push(client, key) == 200:
            accepted.append(key)
    promote(replica)

    with Redis.from_url(replica.url) as redis:
        found = records.get_many(redis, accepted)
    assert len(accepted) == 200
    assert all(found)


def test_it_leaves_a_server_that_became_a_replica_behind_a_virtual_address(
    replica: EmbeddedServer, address: VirtualAddress
) -> None:
    client = web(address.url, 0)
    with ThreadPoolExecutor(8) as pool:  # so that the pool holds several connections
        before = list(pool.map(lambda _: push(client, a_key()), range(64)))
        address.switch(replica)
        after = list(pool.map(lambda _: push(client, a_key()), range(30)))

    assert set(before) == {200}
    assert after == [200] * 30


def test_it_drops_the_connection_also_when_it_does_not_try_again(
    replica: EmbeddedServer, address: VirtualAddress
) -> None:
    with connect(address.url, timeout_s=3, retries=0) as redis:
        ledger = Ledger(redis)
        ledger.accept(a_key(), NOW)
        address.switch(replica)

        with pytest.raises(NotMasterError, match="READONLY"):
            ledger.accept(a_key(), datetime.now(UTC))
        assert ledger.accept(a_key(), datetime.now(UTC)).state is State.QUEUED


def test_it_leaves_a_master_that_has_lost_its_replicas(
    master: EmbeddedServer, replica: EmbeddedServer, address: VirtualAddress
) -> None:
    with connect(address.url, timeout_s=3, retries=0) as redis:
        ledger = Ledger(redis)
        ledger.accept(a_key(), NOW)
        with Redis.from_url(replica.url) as client:
            client.replicaof("NO", "ONE")
        with Redis.from_url(master.url) as client:
            client.config_set("min-replicas-to-write", "1")
            poll(lambda: client.info("replication")["min_slaves_good_slaves"] == 0)
        address.leads_to = replica

        with pytest.raises(NoReplicasError, match="NOREPLICAS"):
            ledger.accept(a_key(), datetime.now(UTC))
        assert ledger.accept(a_key(), datetime.now(UTC)).state is State.QUEUED


def test_it_says_so_when_the_address_leads_to_a_replica_for_good(
    master: EmbeddedServer, replica: EmbeddedServer
) -> None:
    assert master.is_running
    client = web(replica.url, 0)

    assert push(client, a_key()) == 503
    assert "This Redis is a read-only replica: lead REDIS_URL to the master" in (
        client.get("/readyz").text
    )
    with connect(replica.url, timeout_s=3, retries=1) as redis, pytest.raises(RedisError):
        redis.set("x", "1")


def test_a_sentinel_that_does_not_answer_costs_its_time_limit_once() -> None:
    """As one does whose machine is cut off: nothing is refused, nothing comes back."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = ",".join([f"127.0.0.1:{silent.getsockname()[1]}"] * 2)
        with connect(f"redis+sentinel://{hosts}/klarna-ack/0", timeout_s=0.2, retries=1) as redis:
            began = time.monotonic()
            with pytest.raises(MasterNotFoundError):
                redis.ping()
            took_s = time.monotonic() - began
    asked, backoff_s = 2 * 2, 0.5
    assert took_s < asked * 0.2 + backoff_s + 1  # 1 s for a busy machine; it was half a minute
