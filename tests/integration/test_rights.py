"""The lists of rights name what the program runs, what users are given and what is looked for."""

import ast
import re
from collections.abc import Iterator
from typing import cast

import pytest
import requests
from redis import Redis
from structlog.testing import capture_logs

from devtools import redis_users
from devtools.local.processes import ROOT, Processes, poll
from devtools.local.sandbox_control import SandboxControl
from pushes.model import PushKey, State
from pushes.store import records
from pushes.store.server import rights
from pushes.store.server.rights import COMMIT, RIGHTS, Role
from tests.builders import RedisUser
from tests.integration.test_cli_support import run

ALL = {command for commands in RIGHTS.values() for command in commands}

# Methods of redis-py that are not called like the command they run.
NAMED_OTHERWISE = {"delete": "del", "script_load": "script|load", "incr": "incrby"}

# Runs no command of its own, or one that may be refused.
NO_COMMANDS = {
    "lock",
    "pipeline",
    "execute",
    "register_script",
    "execute_command",
    "close",
    "config_get",
}


@pytest.fixture
def users(redis_client: Redis, redis_url: str) -> Iterator[dict[Role, RedisUser]]:
    users = {role: RedisUser(redis_client, redis_url, role) for role in Role}
    yield users
    for user in users.values():
        user.close()


@pytest.mark.parametrize("role", Role)
def test_it_names_each_right_that_is_missing(users: dict[Role, RedisUser], role: Role) -> None:
    user = users[role]
    with Redis.from_url(user.url) as redis:
        assert rights.missing_rights(redis, role) == []
        for command in sorted(RIGHTS[role]):
            with user.denied(command):
                assert rights.missing_rights(redis, role) == [f"+{command}"]
        user.rule("resetkeys", "~rq:*")
        assert rights.missing_rights(redis, role) == ["~klarna-ack:*"]
        user.rule("~klarna-ack:*")
        assert rights.missing_rights(redis, role) == []
        assert redis.exists("klarna-ack:probe", "rq:probe") == 0


def test_it_takes_a_full_redis_for_no_missing_right(
    users: dict[Role, RedisUser], redis_client: Redis
) -> None:
    redis_client.config_set("maxmemory", "1mb")
    try:
        with Redis.from_url(users[Role.WEB].url) as redis:
            assert rights.missing_rights(redis, Role.WEB) == []
    finally:
        redis_client.config_set("maxmemory", "0")


def test_it_logs_what_is_missing(users: dict[Role, RedisUser]) -> None:
    user = users[Role.WORKER]
    user.rule("-zadd", "-blmove")

    with Redis.from_url(user.url) as redis, capture_logs() as logged:
        rights.log_missing_rights(redis, Role.WORKER)

    assert [(line["event"], line["rules"]) for line in logged] == [
        ("redis.rights_missing", ["+blmove", "+zadd"])
    ]


def test_the_file_of_users_gives_each_role_its_rights() -> None:
    assert redis_users.FILE.read_text() == redis_users.users(), "`make map` remakes it"


def in_scripts() -> set[str]:
    """The commands that our Lua runs."""
    files = [*(ROOT / "pushes").rglob("*.lua"), *(ROOT / "worker").rglob("*.lua")]
    found = [re.findall(r"redis\.p?call\('(\w+)'", file.read_text()) for file in files]
    return {command.lower() for commands in found for command in commands}


def in_code() -> set[str]:
    """The methods of redis-py that our code calls."""
    found: set[str] = set()
    for room in ("pushes", "worker", "service", "cli"):
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    owner = ast.unparse(node.func.value).rpartition(".")[2]
                    if owner in {"redis", "_redis", "pipeline"}:
                        found.add(node.func.attr)
    return {NAMED_OTHERWISE.get(name, name) for name in found - NO_COMMANDS}


def test_it_lists_every_command_that_we_name() -> None:
    assert in_scripts() | in_code() <= RIGHTS[Role.WORKER] | RIGHTS[Role.OPERATOR]
    assert ALL - in_scripts() - in_code() - COMMIT <= {
        *("multi", "exec", "discard"),  # of pipelines
        "pexpire",  # of redis-py's Lock
        *("hgetall", "scard", "zrange"),  # of RQ
    }


def test_the_processes_run_with_their_rights_and_no_other(
    users: dict[Role, RedisUser],
    redis_client: Redis,
    sandbox: SandboxControl,
    processes: Processes,
) -> None:
    redis_client.acl_log_reset()
    web = processes.web(REDIS_URL=users[Role.WEB].url).wait_ready()
    worker = processes.worker(REDIS_URL=users[Role.WORKER].url, NOT_FOUND_DELAYS_S="0.1")
    known, unknown = sandbox.create_order(), "00000000-1111-6222-a333-444455556666"

    def state_of(order_id: str) -> State | None:
        push = records.get(redis_client, PushKey("default", order_id))
        return push.state if push else None

    for order_id in (known, unknown, known):
        assert requests.post(f"{web.push_url}{order_id}", timeout=10).status_code == 200
    poll(lambda: state_of(known) is State.ACKNOWLEDGED and state_of(unknown) is State.DEAD, 60)
    assert requests.get(f"{web.url}/metrics", timeout=10).status_code == 200
    for words in ("status", f"show {unknown}", "dead list"):
        assert run(users[Role.READER].url, *words.split()).exit_code == 0, words
    for words in (
        f"dead discard {unknown} --why test",
        f"dead replay {unknown} --why test",
        f"push {unknown}",
        "pause --why test",
        "resume",
    ):
        assert run(users[Role.OPERATOR].url, *words.split()).exit_code == 0, words
    run(users[Role.OPERATOR].url, "doctor")
    worker.terminate()

    denied = cast(list[dict[str, str]], redis_client.acl_log() or [])
    harmless = {"config|get", "client|maint_notifications", "client|setinfo"}
    assert {one["object"] for one in denied} <= harmless
