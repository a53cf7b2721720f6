"""127.0.0.1: its free ports, and HTTP to what listens there."""

import contextlib
import secrets
import socket

import requests

from devtools.local.server_binary import EmbeddedServerError

# Below Linux's ephemeral range (32768-60999): a client that retries while the server is down could
# otherwise be given the server's own port, connect to itself, and keep the server from coming back.
_PORTS = range(20_000, 32_000)


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


def loopback_session() -> requests.Session:
    """Make a session that goes straight to its target, whatever proxy this shell has."""
    session = requests.Session()
    session.trust_env = False
    return session
