"""A real Valkey for tests and `klarna-ack dev`: started here, gone when this process is gone.

It listens on 127.0.0.1 only and asks for a random password, since any local user can connect there
and whoever writes to this Redis decides what the worker runs. It is never meant for production.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Literal, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.retry import Retry

from devtools.local.loopback import free_port
from devtools.local.server_binary import EmbeddedServerError, find_server_binary
from devtools.local.supervised import Supervised

#: When the server syncs its append-only file.
Fsync = Literal["always", "everysec"]

_START_TIMEOUT_S = 15.0  # An empty server answers in ~20 ms; the rest is for a loaded CI machine.
_LOCK_TIMEOUT_S = 5.0  # The previous owner's server may still be writing its last commands.
_POLL_S = 0.01
_PORT_ATTEMPTS = 20


class EmbeddedServer:
    """`with EmbeddedServer() as server: Redis.from_url(server.url)`.

    Without a `directory` the data lives in a temporary one, removed at the end (it stays behind
    when this process is killed with `kill -9`). With one the data is there again the next time.
    """

    def __init__(
        self,
        directory: Path | None = None,
        appendfsync: Fsync = "everysec",
        password: str | None = None,
    ) -> None:
        self._binary = find_server_binary()
        self._is_temporary = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="klarna-ack-valkey-"))
        self._appendfsync = appendfsync
        self.password = password or secrets.token_urlsafe(24)
        self.port = 0
        self._lock_fd: int | None = None
        self._process: Supervised | None = None

    @property
    def url(self) -> str:
        """With the password in it: hand it to a process, never to a log."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

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
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\n"
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
                try:
                    client.ping()
                except BusyLoadingError:  # it reads what it had kept, however long that takes
                    deadline = time.monotonic() + _START_TIMEOUT_S
                except RedisError:
                    pass
                else:
                    return True
                if process.exit_code is not None:
                    process.stop()
                    return False
                time.sleep(_POLL_S)
        raise EmbeddedServerError(f"no answer in {_START_TIMEOUT_S:.0f} s; it said:\n{self.log}")


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
