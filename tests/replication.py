"""What tests of replicas share: two servers with one password, and an address that moves."""

import select
import socket
import threading
from contextlib import suppress

from redis import Redis

from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import poll


def follow(replica: EmbeddedServer, master: EmbeddedServer) -> None:
    """Let one server replicate another, and wait until it does."""
    with Redis.from_url(master.url) as client:
        client.config_set("repl-diskless-sync-delay", "0")  # nobody else comes
    with Redis.from_url(replica.url) as client:
        client.config_set("masterauth", master.password)
        client.replicaof("127.0.0.1", str(master.port))
        poll(lambda: client.info("replication")["master_link_status"] == "up", 30)


def promote(server: EmbeddedServer) -> None:
    """Let a replica be a master."""
    with Redis.from_url(server.url) as client:
        client.replicaof("NO", "ONE")


class VirtualAddress:
    """An address that leads to one server or another; connections stay where they were made to."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.leads_to = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://:{server.password}@127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End it, and all its connections."""
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def switch(self, replica: EmbeddedServer) -> None:
        """Fail over in an orderly way: both servers live, and the old master follows the new."""
        master = self.leads_to
        promote(replica)
        with Redis.from_url(master.url) as client:
            client.config_set("masterauth", replica.password)
            client.replicaof("127.0.0.1", str(replica.port))
        self.leads_to = replica

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                try:
                    server = socket.create_connection(("127.0.0.1", self.leads_to.port))
                except OSError:  # nobody is there
                    client.close()
                    continue
                self._sockets.append(server)
                threading.Thread(target=self._relay, args=(client, server), daemon=True).start()

    def _relay(self, *pair: socket.socket) -> None:
        other = dict(zip(pair, reversed(pair), strict=True))
        with suppress(OSError, ValueError):
            while True:
                for one in select.select(pair, [], [])[0]:
                    data = one.recv(65536)
                    if not data:
                        raise ConnectionError
                    other[one].sendall(data)
        for one in pair:
            one.close()
