"""How Redis is, and whether it keeps what it is given: by what it says of itself. Pure.

A remedy begins with a small letter and ends without a full stop, for log lines and sentences alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004 - redis's own name
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TimeoutError,  # noqa: A004 - redis's own name
)

from pushes.store.connection import NoReplicasError, NotMasterError
from pushes.store.server.replicas import NotReplicatedError


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with Redis as we meet it, and the remedy. Holds no host name and no secret."""

    seen: str
    remedy: str


_OFF = Fault(
    "its append-only file is off, so a crash of Redis loses accepted pushes", "set `appendonly yes`"
)
_NOT_WRITTEN = Fault(
    "it cannot write its append-only file", "make room on Redis's disk, and look at its log"
)

_REPLICA = Fault("this Redis is a read-only replica", "lead REDIS_URL to the master")

_NO_REPLICAS = Fault("Redis has too few replicas and refuses to write", "bring its replicas back")

# The first one that fits counts: redis-py derives some of them from others.
_OF_CLASS: tuple[tuple[type[RedisError], Fault], ...] = (
    (BusyLoadingError, Fault("Redis is starting and reads its data", "wait until it has")),
    (
        AuthenticationError,
        Fault("Redis refuses the user name or password", "correct them in REDIS_URL, and restart"),
    ),
    (
        AuthorizationError,
        Fault("Redis refuses this client", "look at its ACL and protected mode"),
    ),
    (
        NoPermissionError,
        Fault("Redis forbids its user this command", "give the user of REDIS_URL the right to it"),
    ),
    (
        OutOfMemoryError,
        Fault("Redis is full and refuses to write", "raise its maxmemory, or make room"),
    ),
    (ReadOnlyError, _REPLICA),
    (NotMasterError, _REPLICA),
    (NoReplicasError, _NO_REPLICAS),
    (
        NotReplicatedError,
        Fault(
            "too few replicas have what was written",
            "bring Redis's replicas back, or lower REDIS_WAIT_REPLICAS",
        ),
    ),
    (TimeoutError, Fault("Redis does not answer in time", "bring Redis back")),
    (ConnectionError, Fault("Redis does not answer", "bring Redis back, or correct REDIS_URL")),
)
_OF_WORD = {
    "ACL failure": Fault(  # what a script is forbidden
        "Redis forbids its user a command", "give the user of REDIS_URL the right to it"
    ),
    "MISCONF": Fault("Redis cannot save to its disk and refuses to write", _NOT_WRITTEN.remedy),
    "NOREPLICAS": _NO_REPLICAS,
}


def persistence_fault(info: Mapping[str, Any]) -> Fault | None:
    """Judge what INFO says of persistence; None when accepted pushes survive a crash of Redis."""
    if not info.get("aof_enabled"):
        return _OFF
    return None if info.get("aof_last_write_status", "ok") == "ok" else _NOT_WRITTEN


def rights_fault(missing: Sequence[str]) -> Fault | None:
    """Judge the rules that the user of REDIS_URL lacks; None when it lacks none."""
    if not missing:
        return None
    rules = " ".join(missing)
    return Fault(f"Redis forbids its user what is needed ({rules})", "add it with ACL SETUSER")


def fault_of(error: RedisError) -> Fault:
    """Say what an error means for whoever operates Redis."""
    for kind, fault in _OF_CLASS:
        if isinstance(error, kind):
            return fault
    for word, fault in _OF_WORD.items():
        if word in str(error):
            return fault
    return Fault(
        f"Redis refused the command ({type(error).__name__})", "look at its log and its settings"
    )


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What INFO says. `replica_lag_s`: since the slowest replica last answered; None without any.

    `memory_max` is 0 when there is no limit.
    """

    fault: Fault | None
    replicas: int
    replica_lag_s: int | None
    memory_used: int
    memory_max: int


def facts_of(info: Mapping[str, Any]) -> ServerFacts:
    """Read what INFO says."""
    count = int(info.get("connected_slaves", 0))
    replicas = [info.get(f"slave{number}", {}) for number in range(count)]
    lags = [int(replica["lag"]) for replica in replicas if "lag" in replica]
    return ServerFacts(
        persistence_fault(info),
        count,
        max(lags, default=None),
        int(info.get("used_memory", 0)),
        int(info.get("maxmemory", 0)),
    )
