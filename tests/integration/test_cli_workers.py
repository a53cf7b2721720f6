import json
import os
from pathlib import Path

import pytest
from redis import Redis
from rq import SimpleWorker

from pushes.accounts.serving import Serving, Share
from pushes.store import keys
from pushes.store.ledger import Ledger
from tests.builders import NOW, ManualClock
from tests.integration.test_cli_support import after, answer, at, everything, run
from worker.periodic.heartbeat import Heartbeat


@pytest.fixture
def ours(redis_client: Redis) -> Heartbeat:
    """A worker of ours that beats, and started at NOW."""
    serving = Serving(redis_client, [Share.of("eu", 10), Share.of("us", 20)])
    serving.announce()
    with at(NOW):
        heartbeat = Heartbeat(redis_client, Ledger(redis_client).rq, ManualClock(NOW), 8)
        heartbeat.hostname, heartbeat.pid = "machine-2", 17
        heartbeat.register_birth()  # type: ignore[no-untyped-call]  # RQ gives it no types
        heartbeat.beat(active=1, done=0, serves=serving.key)
    redis_client.hset(heartbeat.key, keys.WORKER_SKEW_FIELD, "1.250")
    return heartbeat


@pytest.fixture
def theirs(redis_client: Redis) -> SimpleWorker:
    with at(NOW):
        worker = SimpleWorker(["klarna-ack"], connection=redis_client)
        worker.hostname, worker.pid = "machine-1", 9
        worker.register_birth()  # type: ignore[no-untyped-call]
    return worker


def test_it_lists_who_is_alive_where_and_since_when(
    redis_client: Redis, redis_url: str, ours: Heartbeat, theirs: SimpleWorker
) -> None:
    before = everything(redis_client)

    listed = answer(run(redis_url, "workers", "--json"))

    started = "2026-03-01T12:00:00.000Z"
    assert listed == {
        "items": [
            {
                "name": theirs.name,
                "host": "machine-1",
                "pid": 9,
                "started_at": started,
                "version": None,
                "clock_ahead_s": 0.0,
                "settings_read_at": None,
                "slots": 0,
                "busy": 0,
                "last_heartbeat": started,
                "accounts": None,
            },
            {
                "name": ours.name,
                "host": "machine-2",
                "pid": 17,
                "started_at": started,
                "version": ours._our_version,  # noqa: SLF001 - the package's, as it tells it
                "clock_ahead_s": 1.25,
                "settings_read_at": started,
                "slots": 8,
                "busy": 1,
                "last_heartbeat": "2026-03-01T11:59:58.750Z",
                "accounts": ["eu", "us"],
            },
        ],
        "unreadable": [],
    }
    assert everything(redis_client) == before


@pytest.mark.usefixtures("ours", "theirs")
def test_it_is_aligned_text_when_piped(redis_url: str) -> None:
    first, second = run(redis_url, "workers").stdout.splitlines()[1:]
    assert first.split() == [
        *("machine-1", "9", "not", "ours:", "cannot", "acknowledge", "-", "-"),
        *("2026-03-01T12:00:00.000Z", "-", "2026-03-01T12:00:00.000Z", "+0.0", "s"),
    ]
    times = [*["2026-03-01T12:00:00.000Z"] * 2, "2026-03-01T11:59:58.750Z"]
    assert second.split()[-6:] == ["2", *times, "+1.2", "s"]


def test_it_says_that_nobody_works(redis_url: str) -> None:
    assert "No worker is alive" in run(redis_url, "workers").stdout


def test_it_leaves_out_and_names_what_cannot_be_read(
    redis_client: Redis, redis_url: str, ours: Heartbeat
) -> None:
    redis_client.hset(ours.key, "pid", "many")
    listed = answer(run(redis_url, "workers", "--json"))
    assert listed["items"] == []
    assert listed["unreadable"][0].startswith(f"{ours.key} cannot be read (ValueError")


@pytest.mark.parametrize("minutes", [-1, 1])
def test_doctor_finds_a_worker_that_does_not_know_the_new_password(
    redis_url: str, ours: Heartbeat, tmp_path: Path, minutes: int
) -> None:
    password = tmp_path / "password"
    password.write_text("new")
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(
        '[accounts.eu]\napi_url = "http://127.0.0.1:1"\nusername = "u"\n'
        f"password_file = {json.dumps(str(password))}\n"
    )
    os.utime(accounts, (0, 0))
    os.utime(password, (after(minutes).timestamp(),) * 2)

    checks = answer(run(redis_url, "doctor", "--json", ACCOUNTS_FILE=str(accounts)))["checks"]

    found = [check["seen"] for check in checks if check["name"] == "worker settings"]
    seen = f"read by {ours.hostname} {ours.pid} before {password} was changed at"
    assert found == [f"{seen} 2026-03-01T12:01:00.000Z"] * (minutes > 0)
