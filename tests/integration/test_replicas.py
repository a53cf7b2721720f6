"""With REDIS_WAIT_REPLICAS, "done" means on replicas, too; and a demoted server is left alone."""

import select
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from redis import Redis
from redis.exceptions import RedisError

from devtools.local.embedded import EmbeddedServer
from devtools.local.loopback import free_port
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
from worker.attempt.outcomes import Acknowledged


def password_of(server: EmbeddedServer) -> str:
    return server.url.partition("//:")[2].partition("@")[0]


def follow(replica: EmbeddedServer, master: EmbeddedServer) -> None:
    """Let one server replicate another, and wait until it does."""
    with Redis.from_url(master.url) as client:
        client.config_set("repl-diskless-sync-delay", "0")  # nobody else comes
    with Redis.from_url(replica.url) as client:
        client.config_set("masterauth", password_of(master))
        client.replicaof("127.0.0.1", str(master.port))
        poll(lambda: client.info("replication")["master_link_status"] == "up", 30)


def promote(server: EmbeddedServer) -> None:
    with Redis.from_url(server.url) as client:
        client.replicaof("NO", "ONE")


@pytest.fixture
def master() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


@pytest.fixture
def replica(master: EmbeddedServer) -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        follow(server, master)
        yield server
        server.thaw()


@pytest.fixture
def client_of_replica(replica: EmbeddedServer) -> Iterator[Redis]:
    with Redis.from_url(replica.url) as client:
        yield client


class VirtualAddress:
    """An address that leads to one server or another; connections stay where they were made to."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.leads_to = server
        self._listener = socket.create_server(("127.0.0.1", free_port()))
        self.url = f"redis://:{password_of(server)}@127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.leads_to.port))
                self._sockets += [client, server]
                threading.Thread(target=self._relay, args=(client, server), daemon=True).start()

    def _relay(self, *pair: socket.socket) -> None:
        other = dict(zip(pair, reversed(pair), strict=True))
        with suppress(OSError, ValueError):
            while True:
                for one in select.select(pair, [], [])[0]:
                    data = one.recv(65536)
                    if not data:
                        raise ConnectionError
                    other[one].sendall(data)
        for one in pair:
            one.close()


@pytest.fixture
def address(master: EmbeddedServer) -> Iterator[VirtualAddress]:
    address = VirtualAddress(master)
    yield address
    address.close()


def switch(address: VirtualAddress, master: EmbeddedServer, replica: EmbeddedServer) -> None:
    """Fail over in an orderly way: both servers live, and the address leads to the new master."""
    with Redis.from_url(replica.url) as client:  # the passwords of the two differ
        client.config_set("requirepass", password_of(master))
    with Redis(port=replica.port, password=password_of(master)) as client:
        client.replicaof("NO", "ONE")
    with Redis.from_url(master.url) as client:
        client.config_set("masterauth", password_of(master))
        client.replicaof("127.0.0.1", str(replica.port))
    address.leads_to = replica


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

    for words in (f"dead replay {key.order_id} --why test", "pause --why test"):
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
    master: EmbeddedServer, replica: EmbeddedServer, address: VirtualAddress
) -> None:
    client = web(address.url, 0)
    with ThreadPoolExecutor(8) as pool:  # so that the pool holds several connections
        before = list(pool.map(lambda _: push(client, a_key()), range(64)))
        switch(address, master, replica)
        after = list(pool.map(lambda _: push(client, a_key()), range(30)))

    assert set(before) == {200}
    assert after == [200] * 30


def test_it_drops_the_connection_also_when_it_does_not_try_again(
    master: EmbeddedServer, replica: EmbeddedServer, address: VirtualAddress
) -> None:
    with connect(address.url, timeout_s=3, retries=0) as redis:
        ledger = Ledger(redis)
        ledger.accept(a_key(), NOW)
        switch(address, master, replica)

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
