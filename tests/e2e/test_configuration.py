"""Whole processes and their settings: what is wrong ends them with 78 and a line each; a Redis
behind a Unix socket serves as any other.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
from redis import Redis

from devtools.local.processes import LoggedProcess, Process, Processes, poll
from devtools.local.sandbox_control import SandboxControl
from devtools.local.server_binary import find_server_binary
from pushes.model import PushKey, State
from pushes.store import keys, records

UNIX = "unix:///run/x.sock?nonsense=1"


@pytest.mark.parametrize(
    ("name", "wrong", "begins"),
    [
        (
            "web",
            {"WEB_CONCURRENCY": "0"},
            "WEB_CONCURRENCY: '0' cannot be used; it must be a whole",
        ),
        (
            "web",
            {"WEB_CONCURRENCY": "two"},
            "WEB_CONCURRENCY: 'two' cannot be used; it must be a whole number from 1 to 256",
        ),
        (
            "web",
            {"PORT": "70000"},
            "PORT: '70000' cannot be used; it must be a whole",
        ),
        ("web", {"PORT": "abc"}, "PORT: 'abc' cannot be used; it must be a whole"),
        ("web", {"PUSH_TOKEN": ""}, "PUSH_TOKEN: it is empty; give it a value, or take it away"),
        ("web", {"REDIS_URL": UNIX}, "REDIS_URL: it has an unknown option after '?'; known"),
        ("worker", {"REDIS_URL": UNIX}, "REDIS_URL: it has an unknown option after '?'; known"),
        ("worker", {"KLARNA_USERNAME": "K1:2"}, "KLARNA_USERNAME: must not hold a colon: HTTP"),
        (
            "worker",
            {"REQUESTS_CA_BUNDLE": "/no/such"},
            "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE",
        ),
        ("web", {"RETENTION_DAYS": "0"}, "RETENTION_DAYS: '0' cannot be used; it must be a whole"),
    ],
)
def test_wrong_settings_end_a_process_with_78_and_a_line(
    tmp_path: Path, name: str, wrong: dict[str, str], begins: str
) -> None:
    env = {
        "REDIS_URL": "redis://127.0.0.1:1",
        "KLARNA_API_URL": "klarna-eu",
        "KLARNA_USERNAME": "K1",
        "KLARNA_PASSWORD": "shibboleth",
        "PORT": "1",
    }
    process = Process(name, env | wrong, tmp_path / "log")
    try:
        assert poll(lambda: process.exit_code, 60) == 78
    finally:
        process.kill9()

    head, line = process.log.splitlines()
    assert head == f"klarna-ack {name}: the configuration is not usable:"
    assert line.startswith(begins)


@pytest.fixture
def unix_socket(tmp_path: Path) -> Iterator[str]:
    """The path of the socket of a server that listens nowhere else."""
    path = tmp_path / "redis.sock"
    command = [str(find_server_binary()), "--port", "0", "--unixsocket", str(path)]
    command += ["--appendonly", "yes", "--dir", str(tmp_path)]
    with LoggedProcess("redis", command, {}, tmp_path / "redis.log", cwd=tmp_path):
        poll(path.exists, 30)
        yield str(path)


def test_redis_may_be_behind_a_unix_socket_and_records_expire_as_told(
    unix_socket: str, sandbox: SandboxControl, tmp_path: Path
) -> None:
    env = {
        "REDIS_URL": f"unix://{unix_socket}?db=1",
        "KLARNA_API_URL": sandbox.url,
        "KLARNA_USERNAME": "sandbox",
        "KLARNA_PASSWORD": "sandbox",
        "RETENTION_DAYS": "2",
    }
    processes = Processes(env, tmp_path)
    (order_id,) = sandbox.create_orders(count=1)
    with closing(Redis(unix_socket_path=unix_socket, db=1)) as redis:
        try:
            web, worker = processes.web().wait_ready(), processes.worker()
            assert requests.post(web.push_url + order_id, timeout=5).ok
            poll(lambda: is_acknowledged(redis, order_id), 60)
            kept_s = redis.ttl(keys.record(PushKey("default", order_id)))
            assert kept_s == pytest.approx(2 * 24 * 3600, abs=120)
            assert [worker.terminate(), web.terminate()] == [0, 0]
        finally:
            processes.kill_all()


def is_acknowledged(redis: Redis, order_id: str) -> bool:
    (push,) = records.get_many(redis, [PushKey("default", order_id)])
    return push is not None and push.state is State.ACKNOWLEDGED
