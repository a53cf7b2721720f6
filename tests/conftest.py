"""What tests share: a real Valkey, the sandbox, and our own processes. None of it outlives a test.

A missing server fails the tests that need it: a suite that skips them says nothing.
"""

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings
from redis import Redis

from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import Processes, Sandbox
from devtools.local.sandbox_control import SandboxControl
from tests.replication import VirtualAddress, follow

# A busy machine is no failure: a property is judged by what it finds, not by how long it took.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# A script's background ignores ctrl-c, and whatever a test starts there would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


_configure = structlog.configure


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no test decide what those after it log: a command of the terminal logs less than others.

    So no logger may keep what it was configured with at its first use.
    """
    monkeypatch.setattr(structlog, "configure", _uncached)
    before, root = structlog.get_config(), logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    _uncached(**before)
    root.setLevel(level)
    root.handlers[:] = handlers


def _uncached(**options: Any) -> None:  # noqa: ANN401 - structlog's own
    _configure(**options | {"cache_logger_on_first_use": False})


@pytest.fixture(scope="session")
def valkey() -> Iterator[EmbeddedServer]:
    """The session's server. A test may kill, freeze and restart it, not change its configuration:
    for that start an `EmbeddedServer` of your own.
    """
    with EmbeddedServer() as server:
        yield server


@pytest.fixture
def redis_url(valkey: EmbeddedServer) -> str:
    """The server's URL; it is up and empty when the test starts, whatever the last one did."""
    valkey.thaw()
    if not valkey.is_running:
        valkey.restart()
    with Redis.from_url(valkey.url) as client:
        client.flushall()
    return valkey.url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator["Redis"]:
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def master() -> Iterator[EmbeddedServer]:
    """A server of the test's own, which may have replicas."""
    with EmbeddedServer() as server:
        yield server


@pytest.fixture
def replica(master: EmbeddedServer) -> Iterator[EmbeddedServer]:
    """A server that replicates the master, with its password."""
    with EmbeddedServer(password=master.password) as server:
        follow(server, master)
        yield server
        server.thaw()


@pytest.fixture
def address(master: EmbeddedServer) -> Iterator[VirtualAddress]:
    """An address that leads to the master, until the test lets it lead elsewhere."""
    address = VirtualAddress(master)
    yield address
    address.close()


@pytest.fixture(scope="session")
def sandbox_process(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[SandboxControl, dict[str, Any]]]:
    """The session's sandbox, and the settings it started with."""
    log = tmp_path_factory.mktemp("sandbox") / "sandbox.log"
    with Sandbox({}, log) as process, closing(process.wait_ready()) as control:
        yield control, control.settings()


@pytest.fixture
def sandbox(sandbox_process: tuple[SandboxControl, dict[str, Any]]) -> SandboxControl:
    """The sandbox as it was when it started: no orders, no faults, its first settings."""
    control, first_settings = sandbox_process
    control.reset()
    control.settings(**first_settings)
    return control


@pytest.fixture
def processes(redis_url: str, sandbox: SandboxControl, tmp_path: Path) -> Iterator[Processes]:
    """Starts web and worker processes over this test's Redis and sandbox; kills them at the end."""
    env = {
        "REDIS_URL": redis_url,
        "KLARNA_API_URL": sandbox.url,
        "KLARNA_USERNAME": "sandbox",
        "KLARNA_PASSWORD": "sandbox",
    }
    processes = Processes(env, tmp_path)
    yield processes
    processes.kill_all()
    sys.stdout.write(processes.logs())  # pytest shows it when the test failed
