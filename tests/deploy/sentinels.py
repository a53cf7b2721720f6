"""Three servers and three Sentinels with the configuration of deploy/redis, and trouble for them.

All on loopback. Each password is the name of its user.
"""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from devtools.local.loopback import free_port
from devtools.local.processes import LoggedProcess, poll
from devtools.local.server_binary import find_server_binary
from tests.deploy.redis_files import FOLDER, with_passwords

NAME = "klarna-ack"
_SERVERS = _SENTINELS = 3
_LINKS = ("replica", "sentinel")  # the users by which the other servers and Sentinels come
_READY_S = 60


@dataclass
class Server:
    """One Redis: its files, its process, what can happen to it."""

    directory: Path
    port: int
    master_port: int | None
    process: LoggedProcess = field(init=False)

    def start(self) -> None:
        file = self.directory / "server.conf"
        if not file.exists():
            (self.directory / "users.acl").write_text(
                with_passwords((FOLDER / "users.acl").read_text())
            )
            follows = f"replicaof 127.0.0.1 {self.master_port}\n" if self.master_port else ""
            file.write_text(
                f"include {FOLDER / 'klarna-ack.conf'}\n"
                f"include {FOLDER / 'klarna-ack-replicated.conf'}\n"
                f"port {self.port}\nbind 127.0.0.1\ndir {self.directory}\n"
                f"aclfile {self.directory / 'users.acl'}\nmasterauth replica\n{follows}"
            )
        command = [str(find_server_binary()), str(file)]
        log = self.directory / "server.log"
        self.process = LoggedProcess(f"redis-{self.port}", command, {}, log)

    def client(self) -> Redis:
        """As `admin`; it gives up at once."""
        return Redis(
            port=self.port,
            username="admin",
            password="admin",
            socket_timeout=2,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def role(self) -> str | None:
        try:
            with self.client() as client:
                role: str = client.info("replication")["role"]
        except RedisError:
            return None
        return role

    def kill(self) -> None:
        self.process.kill9()

    def freeze(self) -> None:
        self.process.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.signal(signal.SIGCONT)

    def cut_off(self) -> None:
        """No other server and no Sentinel reaches it, while its clients do: as a split network."""
        self._let_in("off", _LINKS)

    def join(self) -> None:
        self._let_in("on", ("default",))  # as whom they are connected that were refused

    def _let_in(self, rule: str, disconnected: tuple[str, ...]) -> None:
        with self.client() as client:
            for user in _LINKS:
                client.execute_command("ACL", "SETUSER", user, rule)
            for user in disconnected:
                client.execute_command("CLIENT", "KILL", "USER", user)


@dataclass(frozen=True)
class Group:
    """All of them; one server is the master, whichever."""

    servers: list[Server]
    sentinel_ports: list[int]

    @property
    def url(self) -> str:
        """For processes of ours, without user and password: `url_of` has them."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinel_ports)
        return f"{hosts}/{NAME}/0"

    def url_of(self, user: str) -> str:
        return f"redis+sentinel://{user}:{user}@{self.url}"

    def master_port(self) -> int:
        """Where a majority of the Sentinels says that the master is; 0 while there is none."""
        told = []
        for port in self.sentinel_ports:
            with Redis(port=port, decode_responses=True) as sentinel:
                told.append(int(sentinel.sentinel_get_master_addr_by_name(NAME)[1]))
        return max(told, key=told.count) if len(set(told)) < len(told) else 0

    def master(self) -> Server:
        return next(server for server in self.servers if server.port == self.master_port())

    def is_whole(self) -> bool:
        """One master, whom all follow, and whom all Sentinels watch."""
        if sorted(str(server.role()) for server in self.servers) != ["master", "slave", "slave"]:
            return False
        master = next(server for server in self.servers if server.role() == "master")
        with master.client() as client:
            followers = client.info("replication")["connected_slaves"]
        return followers == _SERVERS - 1 and all(
            self._sees_all(port) for port in self.sentinel_ports
        )

    def wait_whole(self) -> None:
        poll(self.is_whole, _READY_S)

    @staticmethod
    def _sees_all(port: int) -> bool:
        with Redis(port=port, decode_responses=True) as sentinel:
            seen = sentinel.sentinel_master(NAME)
        others = (seen["num-slaves"], seen["num-other-sentinels"])
        return others == (_SERVERS - 1, _SENTINELS - 1)


@contextmanager
def sentinel_group() -> Iterator[Group]:
    """Start all of them, and end them with the block."""
    directory = Path(tempfile.mkdtemp(prefix="klarna-ack-sentinels-"))
    with ExitStack() as opened:
        opened.callback(shutil.rmtree, directory, ignore_errors=True)
        ports = [free_port() for _ in range(_SERVERS)]
        servers = []
        for port in ports:
            place = directory / str(port)
            place.mkdir()
            servers.append(Server(place, port, None if port == ports[0] else ports[0]))
            servers[-1].start()
            opened.callback(servers[-1].kill)
        poll(lambda: all(server.role() for server in servers), _READY_S)
        sentinel_ports = [free_port() for _ in range(_SENTINELS)]
        for port in sentinel_ports:
            file = directory / f"sentinel-{port}.conf"
            file.write_text(_sentinel(ports[0], port, directory))
            command = [str(find_server_binary()), str(file), "--sentinel"]
            log = directory / f"sentinel-{port}.log"
            process = LoggedProcess(f"sentinel-{port}", command, {}, log)
            opened.callback(process.kill9)
            process.wait_for_line(r"\+monitor master")
        group = Group(servers, sentinel_ports)
        group.wait_whole()
        yield group


def _sentinel(master_port: int, port: int, directory: Path) -> str:
    text = (FOLDER / "sentinel.conf").read_text()
    for stands, instead in (
        (f"monitor {NAME} 192.0.2.1 6379 2", f"monitor {NAME} 127.0.0.1 {master_port} 2"),
        (f"auth-pass {NAME} PASSWORD", f"auth-pass {NAME} sentinel"),
    ):
        assert stands in text
        text = text.replace(stands, instead)
    return f"{text}\nport {port}\nbind 127.0.0.1\ndir {directory}\n"
