"""Three servers and three Sentinels with the configuration of deploy/redis, and trouble for them.

One of each to a machine. Each password is the name of its user.
"""

import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from devtools.local.loopback import free_port
from devtools.local.processes import LoggedProcess, poll
from devtools.local.server_binary import find_server_binary
from tests.deploy.machines import Machine
from tests.deploy.redis_files import FOLDER, with_passwords

NAME = "klarna-ack"
_SERVERS = _SENTINELS = 3
_LINKS = ("replica", "sentinel")  # the users by which the other servers and Sentinels come
_READY_S = 60


@dataclass
class Server:
    """One Redis: its files, its process, what can happen to it."""

    directory: Path
    machine: Machine
    port: int
    master: "Server | None"
    process: LoggedProcess = field(init=False)

    def start(self) -> None:
        file = self.directory / "server.conf"
        if not file.exists():
            (self.directory / "users.acl").write_text(
                with_passwords((FOLDER / "users.acl").read_text())
            )
            first = self.master
            follows = f"replicaof {first.machine.host} {first.port}\n" if first else ""
            file.write_text(
                f"include {FOLDER / 'klarna-ack.conf'}\n"
                f"include {FOLDER / 'klarna-ack-replicated.conf'}\n"
                f"port {self.port}\nbind {self.machine.host}\ndir {self.directory}\n"
                f"aclfile {self.directory / 'users.acl'}\nmasterauth replica\n{follows}"
            )
        command = [*self.machine.enter, str(find_server_binary()), str(file)]
        log = self.directory / "server.log"
        self.process = LoggedProcess(f"redis-{self.port}", command, {}, log)

    def client(self) -> Redis:
        """As `admin`; it gives up at once."""
        return Redis(
            host=self.machine.host,
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

    def unplug(self) -> None:
        """Nobody reaches it, nor its machine's Sentinel, and no connection is closed."""
        self.machine.unplug()

    def plug(self) -> None:
        self.machine.plug()

    def join(self) -> None:
        self._let_in("on", ("default",))  # as whom they are connected that were refused

    def _let_in(self, rule: str, disconnected: tuple[str, ...]) -> None:
        with self.client() as client:
            for user in _LINKS:
                client.execute_command("ACL", "SETUSER", user, rule)
            for user in disconnected:
                client.execute_command("CLIENT", "KILL", "USER", user)


@dataclass(frozen=True)
class Sentinel:
    """One that watches them."""

    machine: Machine
    port: int

    def client(self) -> Redis:
        """It gives up at once."""
        return Redis(
            host=self.machine.host,
            port=self.port,
            socket_timeout=1,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def sees_all(self) -> bool:
        with self.client() as client:
            seen = client.sentinel_master(NAME)
        others = (seen["num-slaves"], seen["num-other-sentinels"])
        return others == (_SERVERS - 1, _SENTINELS - 1)

    def configuration(self, master: Server, directory: Path) -> str:
        text = (FOLDER / "sentinel.conf").read_text()
        watched = f"monitor {NAME} {master.machine.host} {master.port} 2"
        for stands, instead in (
            (f"monitor {NAME} 192.0.2.1 6379 2", watched),
            (f"auth-pass {NAME} PASSWORD", f"auth-pass {NAME} sentinel"),
        ):
            assert stands in text
            text = text.replace(stands, instead)
        return f"{text}\nport {self.port}\nbind {self.machine.host}\ndir {directory}\n"


@dataclass(frozen=True)
class Group:
    """All of them; one server is the master, whichever."""

    servers: list[Server]
    sentinels: list[Sentinel]

    @property
    def url(self) -> str:
        """For processes of ours, without user and password: `url_of` has them."""
        hosts = ",".join(f"{one.machine.host}:{one.port}" for one in self.sentinels)
        return f"{hosts}/{NAME}/0"

    def url_of(self, user: str) -> str:
        return f"redis+sentinel://{user}:{user}@{self.url}"

    def master_port(self) -> int:
        """Where a majority of the Sentinels says that the master is; 0 while there is none."""
        told = []
        for one in self.sentinels:
            with suppress(RedisError), one.client() as sentinel:
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
        return followers == _SERVERS - 1 and all(one.sees_all() for one in self.sentinels)

    def wait_whole(self) -> None:
        poll(self.is_whole, _READY_S)


@contextmanager
def sentinel_group(machines: Sequence[Machine]) -> Iterator[Group]:
    """Start all of them, and end them with the block."""
    directory = Path(tempfile.mkdtemp(prefix="klarna-ack-sentinels-"))
    with ExitStack() as opened:
        opened.callback(shutil.rmtree, directory, ignore_errors=True)
        servers: list[Server] = []
        for machine in machines:
            port = free_port()
            place = directory / str(port)
            place.mkdir()
            servers.append(Server(place, machine, port, servers[0] if servers else None))
            servers[-1].start()
            opened.callback(servers[-1].kill)
        poll(lambda: all(server.role() for server in servers), _READY_S)
        sentinels = [Sentinel(machine, free_port()) for machine in machines]
        for one in sentinels:
            file = directory / f"sentinel-{one.port}.conf"
            file.write_text(one.configuration(servers[0], directory))
            command = [*one.machine.enter, str(find_server_binary()), str(file), "--sentinel"]
            log = directory / f"sentinel-{one.port}.log"
            process = LoggedProcess(f"sentinel-{one.port}", command, {}, log)
            opened.callback(process.kill9)
            process.wait_for_line(r"\+monitor master")
        group = Group(servers, sentinels)
        group.wait_whole()
        yield group
