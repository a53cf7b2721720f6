"""The commit script over connections that are kept, that break, and that are given back."""

import gc
import os
import threading
from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError

from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import poll
from pushes.store.commits import Commits
from pushes.store.connection import connect

SET = '[["SET", "key", "value"]]'


def run(commits: Commits) -> object:
    return commits.run("record", "", SET)


def clients(redis: Redis) -> int:
    """Connections to the server, without the one that asks."""
    return len(redis.client_list()) - 1


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """Connect as the web process does."""
    with connect(redis_url, timeout_s=5, retries=1) as redis:
        yield redis


def test_it_keeps_one_connection(redis_client: Redis, redis: Redis) -> None:
    commits = Commits(redis)

    assert [run(commits) for _ in range(5)] == [None] * 5
    assert redis_client.get("key") == b"value"
    poll(lambda: clients(redis_client) == 1)


def test_it_answers_with_the_record_when_it_moved_on(redis_client: Redis, redis: Redis) -> None:
    redis_client.hset("record", mapping={"rev": "7"})

    assert run(Commits(redis)) in ([b"rev", b"7"], {b"rev": b"7"})
    assert redis_client.get("key") is None


def test_it_sends_the_script_to_a_redis_that_forgot_it(redis_client: Redis, redis: Redis) -> None:
    commits = Commits(redis)
    run(commits)
    redis_client.script_flush()
    redis_client.delete("key")

    assert [run(commits), run(commits)] == [None, None]
    assert redis_client.get("key") == b"value"


def test_it_does_not_notice_that_a_connection_was_closed(redis_client: Redis, redis: Redis) -> None:
    commits = Commits(redis)
    run(commits)
    redis_client.client_kill_filter(_type="normal", skipme=True)

    assert run(commits) is None
    poll(lambda: clients(redis_client) == 1)


def test_it_does_not_notice_a_restart(valkey: EmbeddedServer, redis: Redis) -> None:
    commits = Commits(redis)
    run(commits)
    valkey.restart()

    assert run(commits) is None


def test_it_raises_what_redis_says_and_goes_on(redis_client: Redis, redis: Redis) -> None:
    commits = Commits(redis)
    run(commits)
    redis_client.config_set("maxmemory", 1)
    try:
        for _ in range(3):
            with pytest.raises(OutOfMemoryError):
                run(commits)
    finally:
        redis_client.config_set("maxmemory", 0)

    assert run(commits) is None
    poll(lambda: clients(redis_client) == 1)


def test_it_raises_when_there_is_no_redis(valkey: EmbeddedServer, redis: Redis) -> None:
    commits = Commits(redis)
    run(commits)
    valkey.kill()
    try:
        with pytest.raises(RedisConnectionError):
            run(commits)
    finally:
        valkey.restart()

    assert run(commits) is None


def test_it_gives_threads_a_connection_each(redis_client: Redis, redis: Redis) -> None:
    commits = Commits(redis)
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda: answers.extend(run(commits) for _ in range(50)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [None] * 400
    poll(lambda: clients(redis_client) <= 8)


def test_it_leaves_the_connections_of_another_process_alone(
    monkeypatch: pytest.MonkeyPatch, redis_client: Redis, redis: Redis
) -> None:
    commits = Commits(redis)
    run(commits)
    monkeypatch.setattr(os, "getpid", lambda: 1)  # as after a fork

    assert run(commits) is None
    poll(lambda: clients(redis_client) == 2)


def test_it_gives_its_connections_back(redis_client: Redis, redis: Redis) -> None:
    for _ in range(5):
        run(Commits(redis))
        gc.collect()

    poll(lambda: clients(redis_client) == 1)
