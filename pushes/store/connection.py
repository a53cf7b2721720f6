"""Connecting to Redis by URL, Sentinel included, with time limits that fit who is asking.

And the scripts that it runs: each stands in a `.lua` file beside the module that calls it.
"""

from importlib import resources
from typing import Any
from urllib.parse import unquote, urlsplit

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import (
    ConnectionError,  # noqa: A004 - redis's own name
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelManagedConnection

OLDEST_VERSION = (6, 2)  # BLMOVE, without which RQ loses a job killed between pop and start.

_SENTINEL_PORT = 26379

# What Redis says that concerns all commands alike. In scripts, older versions put it into the text
# of another error.
_FOR_ALL = (NoPermissionError, OutOfMemoryError, ReadOnlyError)
_STATES = (
    *("ACL failure", "BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOAUTH"),
    *("NOPERM", "NOREPLICAS", "OOM", "READONLY"),
)


class NotMasterError(ConnectionError):
    """The Redis at the other end is a replica now: the connection is closed, and opened anew."""


class NoReplicasError(ConnectionError):
    """The Redis at the other end has lost its replicas, and another may be the master by now."""


class _ToMaster(AbstractConnection):
    """A connection that is dropped when its Redis is the master no more, or may not be.

    Behind a virtual address a connection stays with the server it was made to, whatever becomes of
    that. The next try connects anew, to where the address leads by then, or the Sentinels.
    """

    def read_response(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - redis-py's own
        """Read an answer.

        Raises NotMasterError instead of what a replica says to a write, and NoReplicasError instead
        of what a master says that is cut off from its replicas.
        """
        try:
            return super().read_response(*args, **options)
        except ResponseError as error:
            if isinstance(error, ReadOnlyError) or "READONLY" in str(error):
                self.disconnect()  # type: ignore[no-untyped-call]
                raise NotMasterError(f"READONLY {error}") from error
            if "NOREPLICAS" in str(error):
                self.disconnect()  # type: ignore[no-untyped-call]
                raise NoReplicasError(str(error)) from error
            raise


class _TcpToMaster(_ToMaster, Connection):
    """By TCP."""


class _TlsToMaster(_ToMaster, SSLConnection):
    """By TLS."""


class _SocketToMaster(_ToMaster, UnixDomainSocketConnection):
    """By a socket of this machine."""


class _SentinelToMaster(_ToMaster, SentinelManagedConnection):
    """By TCP, to whom the Sentinels name."""


_CONNECTIONS = {"redis": _TcpToMaster, "rediss": _TlsToMaster, "unix": _SocketToMaster}


def connect(url: str, *, timeout_s: float, retries: int) -> Redis:
    """Make a client for `url`; nothing is sent before its first command.

    `timeout_s` limits connecting and each answer. A command may take `retries + 1` times that,
    plus half a second of backoff for each retry. `pushes.settings.redis_url` says what a URL is.
    """
    options = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(ExponentialWithJitterBackoff(cap=0.5, base=0.05), retries),
    }
    scheme = url.partition("://")[0]
    if scheme != "unix":
        options["socket_keepalive"] = True
    if scheme == "redis+sentinel":
        return _through_sentinel(url, options)
    return Redis.from_url(url, connection_class=_CONNECTIONS[scheme], **options)


def is_of_one_key(error: Exception) -> bool:
    """Whether Redis refused a command for what one key holds.

    Not when it does not answer, nor when every other command like it is refused as well: for its
    own state, or for the caller's rights.
    """
    if not isinstance(error, ResponseError) or isinstance(error, _FOR_ALL):
        return False
    return not any(word in str(error) for word in _STATES)


def read_script(package: str, *names: str) -> str:
    """Read Lua files of a package, put together as one script."""
    folder = resources.files(package)
    return "\n".join(folder.joinpath(name).read_text() for name in names)


def _through_sentinel(url: str, options: dict[str, object]) -> Redis:
    parts = urlsplit(url)
    master, _, database = parts.path.strip("/").partition("/")
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    options |= {"username": unquote(username) or None, "password": unquote(password) or None}
    sentinels = [_host_and_port(host) for host in hosts.split(",")]
    # Asked once each: there are others, and redis-py's own retries would wait for half a minute.
    asking = {name: options[name] for name in ("socket_timeout", "socket_connect_timeout")}
    asking["retry"] = Retry(NoBackoff(), 0)
    group = Sentinel(sentinels, sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
    client: Redis = group.master_for(  # type: ignore[no-untyped-call]
        master, db=int(database or 0), connection_class=_SentinelToMaster, **options
    )
    return client


def _host_and_port(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "localhost", parts.port or _SENTINEL_PORT
