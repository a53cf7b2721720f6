"""Servers start with the configuration of deploy/redis, and its users may do what is theirs."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from devtools.local.loopback import free_port
from devtools.local.processes import LoggedProcess
from devtools.local.server_binary import find_server_binary
from pushes.store.server import rights
from pushes.store.server.rights import RIGHTS, Role
from tests.deploy.redis_files import FOLDER, with_passwords
from tests.documents import OPERATIONS, table, words

FRAGMENT = FOLDER / "klarna-ack.conf"
USERS = FOLDER / "users.acl"


def in_file() -> dict[str, str]:
    lines = [line for line in FRAGMENT.read_text().splitlines() if line and line[0] != "#"]
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="klarna-ack-redis-") as name:
        (Path(name) / "users.acl").write_text(with_passwords(USERS.read_text()))
        yield Path(name)


def command(directory: Path, port: int) -> list[str]:
    here = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)]
    users = ["--aclfile", str(directory / "users.acl")]
    return [str(find_server_binary()), str(FRAGMENT), *here, *users]


@pytest.fixture
def port(directory: Path) -> Iterator[int]:
    """A server as deploy/ has it, but for its port and its folder."""
    port = free_port()
    log = directory / "server.log"
    with LoggedProcess("redis", command(directory, port), {}, log) as server:
        server.wait_for_line("Ready to accept connections")
        yield port


def user(port: int, name: str) -> Redis:
    return Redis(port=port, username=name, password=name, decode_responses=True)


def test_the_server_takes_it(port: int, directory: Path) -> None:
    with user(port, "admin") as client:
        is_set = {name: client.config_get(name)[name] for name in in_file()}
    of_this_test = {"maxmemory": str(2**30), "aclfile": str(directory / "users.acl")}
    assert is_set == in_file() | of_this_test


def test_the_server_does_not_start_with_a_password_missing(directory: Path) -> None:
    (directory / "users.acl").write_text(USERS.read_text())
    done = subprocess.run(
        command(directory, free_port()), capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode != 0
    assert "WARNING" in done.stdout or "Aborting" in done.stdout


def test_nobody_comes_in_without_a_name(port: int) -> None:
    with Redis(port=port) as client, pytest.raises(AuthenticationError):
        client.ping()


@pytest.mark.parametrize("role", Role)
def test_each_role_may_do_what_it_needs_and_nothing_else(port: int, role: Role) -> None:
    with user(port, "admin") as admin, user(port, role) as client:
        assert rights.missing_rights(client, role) == []
        rules = admin.acl_getuser(role)["commands"]
        allowed = {rule.removeprefix("+") for rule in rules if rule.startswith("+")}
        assert allowed == RIGHTS[role]
        for forbidden in ("FLUSHALL", "KEYS *", "CONFIG GET *", "GET other:key", "ACL LIST"):
            with pytest.raises(NoPermissionError):
                client.execute_command(*forbidden.split())


def test_it_sets_what_the_documents_ask_for() -> None:
    rows = table(OPERATIONS, "| Setting | Value | Why |")
    asked = {words(row[0])[0]: words(row[1]) for row in rows}
    given = in_file()
    assert asked == {name: [value] for name, value in given.items()} | {"maxmemory": []}
