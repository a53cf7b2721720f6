"""Which commands of Redis each kind of process runs, and whether its user may run them all.

With a right missing a script ends half way. Nothing is lost by that, but nothing goes on either,
so it is looked for at the start. deploy/redis/users.acl gives these lists as rules of an ACL.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from redis import Redis
from redis.connection import AbstractConnection
from redis.exceptions import ResponseError

from pushes import log
from pushes.store import keys

_log = log.get(__name__)

# What the keys of ours, and those of RQ, begin with.
PREFIXES = (f"{keys.PREFIX}:", "rq:")

# What commit.lua runs.
COMMIT = frozenset(
    {
        *("del", "exists", "expire", "hdel", "hgetall", "hincrby", "hmget", "hset", "llen", "lrem"),
        *("ltrim", "persist", "rename", "rpush", "sadd", "srem", "xadd", "zadd", "zincrby", "zrem"),
    }
)

# The rights are looked for inside a transaction.
_TRANSACTION = frozenset({"multi", "exec", "discard"})

# What any of them needs besides; a script is sent anew to a Redis that has forgotten it.
_ALL = _TRANSACTION | {"evalsha", "script|load", "ping", "info", "time"}

# What tells how everything is; scripts read, too, and may do in them what their caller may.
_READING = frozenset(
    {
        *("exists", "get", "getrange", "hexists", "hget", "hgetall", "hmget", "hscan", "llen"),
        *("lrange", "mget", "scard", "sismember", "smembers", "srandmember", "ttl", "type"),
        "xrange",
        *("xrevrange", "zcard", "zcount", "zrange", "zrangebyscore", "zrevrangebyscore", "zscore"),
    }
)

# What goes through everything: `pushes.store.repair`.
_SWEEPING = frozenset({"scan", "zscan"})


class Role(StrEnum):
    """Who uses Redis."""

    WEB = "web"
    WORKER = "worker"
    OPERATOR = "operator"  # the terminal, whatever it is asked for
    READER = "reader"  # the terminal, for what changes nothing


RIGHTS: Mapping[Role, frozenset[str]] = {
    Role.WEB: _ALL | COMMIT | _READING | {"incrby", "set", "wait"},
    Role.WORKER: _ALL
    | COMMIT
    | _READING
    | _SWEEPING
    | {"blmove", "eval", "hvals", "incrby", "lpos", "pexpire", "sdiff", "set", "spop"}
    | {"zremrangebyscore"},
    Role.OPERATOR: _ALL | COMMIT | _READING | _SWEEPING | {"set", "wait"},
    Role.READER: _ALL | _READING,
}

# The words after a command's name in a call of it; KEY stands for a key. Nothing of it is run.
_CALLS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("del", "exists", "get", "hgetall", "hvals", "llen"), ("KEY",)),
    **dict.fromkeys(("persist", "scard", "smembers", "ttl", "type", "zcard"), ("KEY",)),
    **dict.fromkeys(("hdel", "hexists", "hget", "hmget", "lpos", "rpush"), ("KEY", "x")),
    **dict.fromkeys(("sadd", "sismember", "srem"), ("KEY", "x")),
    **dict.fromkeys(("expire", "hscan", "pexpire", "srandmember", "zscan"), ("KEY", "1")),
    **dict.fromkeys(("incrby", "set", "zrem", "zscore"), ("KEY", "1")),
    **dict.fromkeys(
        ("getrange", "lrange", "ltrim", "xrange", "xrevrange", "zcount"), ("KEY", "1", "1")
    ),
    **dict.fromkeys(("zrange", "zrangebyscore", "zremrangebyscore"), ("KEY", "1", "1")),
    **dict.fromkeys(("hincrby", "hset", "zadd", "zincrby"), ("KEY", "1", "1")),
    "blmove": ("KEY", "KEY", "LEFT", "RIGHT", "1"),
    "eval": ("return 1", "1", "KEY"),
    "evalsha": ("0" * 40, "1", "KEY"),
    "lrem": ("KEY", "1", "x"),
    "mget": ("KEY",),
    "rename": ("KEY", "KEY"),
    "scan": ("0",),
    "sdiff": ("KEY", "KEY"),
    "spop": ("KEY", "1"),
    "script|load": ("return 1",),
    "wait": ("0", "1"),
    "xadd": ("KEY", "*", "x", "x"),
    "zrevrangebyscore": ("KEY", "1", "1"),
}


@dataclass(frozen=True, slots=True)
class _Probe:
    """One command as it is asked for, with a key of one prefix."""

    command: str
    prefix: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """The command and what follows it."""
        key, words = f"{self.prefix}probe", _CALLS.get(self.command, ())
        return (*self.command.upper().split("|"), *(key if it == "KEY" else it for it in words))


def acl_rules(role: Role) -> str:
    """Write the rules of an ACL that give a role its rights and no other."""
    patterns = " ".join(f"~{prefix}*" for prefix in PREFIXES)
    allowed = " ".join(f"+{command}" for command in sorted(RIGHTS[role]))
    return f"resetkeys {patterns} -@all {allowed}"


def missing_rights(redis: Redis, role: Role = Role.WORKER) -> list[str]:
    """Name the rules that the user of `redis` lacks, such as `+zadd` or `~rq:*`.

    Asks for each command inside a transaction that is then discarded: Redis says there at once
    what it forbids, and runs nothing. Raises RedisError when Redis does not answer.
    """
    connection = redis.connection_pool.get_connection()
    try:
        missing = _ask(connection, [_Probe("multi"), _Probe("exec")])
        if "+multi" not in missing:  # without it, what follows would be run
            probes = [probe for command in sorted(RIGHTS[role]) for probe in _probes(command)]
            missing |= _ask(connection, [_Probe("multi"), *probes, _Probe("discard")])
    finally:
        connection.disconnect()  # type: ignore[no-untyped-call]  # nothing half done stays on it
        redis.connection_pool.release(connection)
    return sorted(missing)


def _ask(connection: AbstractConnection, probes: list[_Probe]) -> set[str]:
    """Send all probes, then read the answers; name the rules that they show to be missing."""
    for probe in probes:
        connection.send_command(*probe.words)  # type: ignore[no-untyped-call]
    return {rule for probe in probes if (rule := _missing(connection, probe))}


def log_missing_rights(redis: Redis, role: Role) -> None:
    """Say in the log which rights are missing, if any. Raises RedisError."""
    if missing := missing_rights(redis, role):
        _log.error(
            "redis.rights_missing",
            rules=missing,
            meaning="Redis forbids its user what this process needs: pushes are answered 503, or "
            "orders are not acknowledged; nothing accepted is lost",
            action="give the user of REDIS_URL these rules with ACL SETUSER",
        )


def _probes(command: str) -> Iterator[_Probe]:
    if command not in _TRANSACTION:
        for prefix in PREFIXES if "KEY" in _CALLS.get(command, ()) else PREFIXES[:1]:
            yield _Probe(command, prefix)


def _missing(connection: AbstractConnection, probe: _Probe) -> str | None:
    """Read the answer to one probe; name the rule that it shows to be missing."""
    try:
        connection.read_response()
    except ResponseError as error:  # whatever else it says is no matter of rights
        if "permission" not in str(error):
            return None
        return f"~{probe.prefix}*" if "access" in str(error) else f"+{probe.command}"
    return None
