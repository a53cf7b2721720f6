"""Whether this Redis keeps what it is given, as docs/operations.md asks of it. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from cli.doctor.check import Check, Severity
from cli.exits import what_happened
from pushes.read.views import instant
from pushes.read.workers import LiveWorkers
from pushes.read.workers.entries import LiveWorker
from pushes.store.connection import OLDEST_VERSION
from pushes.store.server.durability import (
    Fault,
    ServerFacts,
    fault_of,
    persistence_fault,
    rights_fault,
)
from pushes.store.server.rights import Role

# Leases are judged by clocks: see docs/operations.md.
_CLOCKS_APART = timedelta(seconds=2)

_FULL = 0.8

# A settled order takes so much for RETENTION_DAYS: see docs/operations.md, "Memory".
_SETTLED_BYTES = 1500

# Memory that lasts no longer is wrong today.
_SOON_DAYS = 2

# A replica answers every second.
_REPLICA_LAG_S = 10

# A periodic task is done every minute at the least; three missed ones are no chance.
_TASK_SILENT = timedelta(minutes=3)

Info = Mapping[str, Any]


def server(info: Info) -> Check:
    """Look at the version and at the kind of server."""
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version") or "")
    seen = f"{name} {version}"
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if info.get("redis_mode") == "cluster":
        remedy = "Use one server, or Sentinel: scripts write keys of several slots."
        return Check("redis server", Severity.FAILED, f"{seen}, a cluster", remedy)
    if name == "Redis" and numbers < OLDEST_VERSION:
        remedy = "Upgrade to Redis 6.2 or newer, or to Valkey."
        return Check("redis server", Severity.FAILED, seen, remedy)
    return Check("redis server", Severity.OK, seen)


def persistence(info: Info, appendfsync: str | None) -> Check:
    """Look whether a crash of Redis loses accepted pushes."""
    if fault := persistence_fault(info):
        return Check("redis persistence", Severity.FAILED, fault.seen, _sentence(fault.remedy))
    seen = f"append-only file on, appendfsync {appendfsync or 'unknown'}"
    if appendfsync == "no":
        remedy = "Set `appendfsync everysec`, or `always`: a crash of the machine loses less."
        return Check("redis persistence", Severity.WARNING, seen, remedy)
    return Check("redis persistence", Severity.OK, seen)


def memory(info: Info) -> Check:
    """Look whether a full Redis refuses to write, and whether it is nearly full."""
    policy = str(info.get("maxmemory_policy", "unknown"))
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    seen = f"maxmemory-policy {policy}, {used // 2**20} MB used"
    seen += f" of {limit // 2**20} MB" if limit else ", no maxmemory"
    if policy != "noeviction":
        remedy = "Set `maxmemory-policy noeviction`: any other removes records silently."
        return Check("redis memory", Severity.FAILED, seen, remedy)
    if limit and used > _FULL * limit:
        remedy = "Raise maxmemory: a full Redis refuses pushes, and they are answered 503."
        return Check("redis memory", Severity.WARNING, seen, remedy)
    return Check("redis memory", Severity.OK, seen)


def headroom(facts: ServerFacts, settled_in_a_day: int, retention: timedelta) -> Check:
    """Look how long the memory lasts at the rate of the last day.

    What is settled is kept for `retention`, so beyond that it grows no more.
    """
    if not facts.memory_max:
        return Check("redis headroom", Severity.OK, "no maxmemory: as much as the machine has")
    left = facts.memory_max - facts.memory_used
    days = left / max(1, settled_in_a_day * _SETTLED_BYTES)
    if days >= retention.days:
        seen = f"enough for {settled_in_a_day} orders a day, kept for {retention.days} days"
        return Check("redis headroom", Severity.OK, seen)
    when = f"full in {days:.1f} days" if left > 0 else "full"
    seen = f"{when} with {settled_in_a_day} orders a day"
    remedy = "Raise maxmemory, or lower RETENTION_DAYS: a full Redis refuses pushes."
    is_soon = days < _SOON_DAYS
    return Check("redis headroom", Severity.FAILED if is_soon else Severity.WARNING, seen, remedy)


def replicas(facts: ServerFacts) -> Iterator[Check]:
    """Look whether the replicas, if there are any, follow."""
    if facts.replica_lag_s is None:
        return
    seen = f"{facts.replicas}, the slowest answered {facts.replica_lag_s} s ago"
    if facts.replica_lag_s > _REPLICA_LAG_S:
        remedy = "Look at the network and at the replica: a failover now would lose pushes."
        yield Check("redis replicas", Severity.WARNING, seen, remedy)
    else:
        yield Check("redis replicas", Severity.OK, seen)


def writes(fault: Fault | None) -> Check:
    """Look whether Redis takes a write: without that no push is accepted."""
    if fault is None:
        return Check("redis writes", Severity.OK, "taken")
    remedy = f"{_sentence(fault.remedy)} Pushes are answered 503 until then."
    return Check("redis writes", Severity.FAILED, fault.seen, remedy)


def rights(role: Role, missing: Sequence[str]) -> Check:
    """Look whether the user of REDIS_URL may run what this role needs."""
    if fault := rights_fault(missing):
        return Check("redis rights", Severity.FAILED, fault.seen, _sentence(fault.remedy))
    return Check("redis rights", Severity.OK, f"all that the {role} needs")


def lost(error: RedisError) -> Iterator[Check]:
    """Say that Redis was lost, and what could not be looked at for that."""
    remedy = f"{_sentence(fault_of(error).remedy)} Accepted pushes are safe in Redis."
    yield Check("redis", Severity.FAILED, what_happened(error), remedy)
    remedy = "Run this again when Redis answers."
    yield Check("workers", Severity.SKIPPED, "only Redis knows them", remedy)


def _sentence(remedy: str) -> str:
    return f"{remedy[0].upper()}{remedy[1:]}."


def unreadable(sentences: Sequence[str]) -> Iterator[Check]:
    """Look for facts that this program did not write like that."""
    if sentences:
        remedy = "Find out who wrote that to this Redis; `klarna-ack status` leaves it out."
        yield Check("redis contents", Severity.WARNING, "; ".join(sentences), remedy)


def clocks(ours: datetime, theirs: datetime) -> Check:
    """Look how far this machine's clock is from Redis's."""
    apart = abs(ours - theirs)
    seen = f"{apart.total_seconds():.1f} s from Redis's"
    if apart > _CLOCKS_APART:
        remedy = "Run NTP on every machine: leases, retries and deadlines go by their clocks."
        return Check("clock", Severity.WARNING, seen, remedy)
    return Check("clock", Severity.OK, seen)


def workers(live: LiveWorkers) -> Iterator[Check]:
    """Look whether anybody makes attempts, and whether anybody takes jobs who cannot."""
    seen = f"{live.ours} alive"
    if live.suspended:
        remedy = 'Run `rq resume --url "$REDIS_URL"`: nothing is acknowledged meanwhile.'
        yield Check("workers", Severity.FAILED, f"{seen}, suspended by `rq suspend`", remedy)
    elif not live.ours:
        remedy = "Start `python -m worker`: nothing is acknowledged without it."
        yield Check("workers", Severity.FAILED, "none of ours is alive", remedy)
    elif live.skewed:
        seen += f", {live.skewed} of them idle: their clocks are too far from Redis's"
        remedy = "Run NTP on every machine: a worker with a wrong clock takes no work."
        yield Check("workers", Severity.FAILED, seen, remedy)
    else:
        yield Check("workers", Severity.OK, seen)
    if live.others:
        remedy = "Stop them: they take jobs of our queue and cannot do them. Ours put those back."
        yield Check("other workers", Severity.WARNING, f"{live.others} of `rq worker`", remedy)


def settings_age(live: Sequence[LiveWorker], changed: Mapping[Path, datetime]) -> Iterator[Check]:
    """Look whether a file of credentials was changed after a worker had read it."""
    stale = {
        worker.name: (worker, file, at)
        for file, at in changed.items()
        for worker in live
        if worker.settings_read_at is not None and worker.settings_read_at < at
    }
    if not stale:
        return
    named = ", ".join(f"{worker.host} {worker.pid}" for worker, _, _ in stale.values())
    _, file, at = next(iter(stale.values()))
    seen = f"read by {named} before {file} was changed at {instant(at)}"
    remedy = "Send them SIGHUP, or restart them, one after the other: they use what they have read."
    yield Check("worker settings", Severity.WARNING, seen, remedy)


def versions(live: LiveWorkers, ours: str) -> Iterator[Check]:
    """Look whether all workers have the version that is installed here."""
    if not live.versions:
        return
    seen = ", ".join(f"{count} of {version}" for version, count in sorted(live.versions.items()))
    if set(live.versions) != {ours}:
        remedy = f"Finish the upgrade: here is {ours}. Restart the workers of another version."
        yield Check("worker versions", Severity.WARNING, seen, remedy)
    else:
        yield Check("worker versions", Severity.OK, seen)


def tasks(live: LiveWorkers, now: datetime) -> Iterator[Check]:
    """Look whether every worker still does its periodic tasks."""
    if not live.tasks:
        return
    silent = {name: now - at for name, at in live.tasks.items() if now - at > _TASK_SILENT}
    if silent:
        seen = ", ".join(
            f"{name} for {age.total_seconds():.0f} s" for name, age in sorted(silent.items())
        )
        remedy = "Restart the workers one after the other; look for worker.task_failed in the log."
        yield Check("periodic tasks", Severity.FAILED, f"without success: {seen}", remedy)
    else:
        yield Check("periodic tasks", Severity.OK, f"{len(live.tasks)}, all done of late")


def unconfigured(in_ledger: list[str], configured: tuple[str, ...]) -> Iterator[Check]:
    """Look for accounts that once had pushes and that nobody has configured here."""
    for account in sorted(set(in_ledger) - set(configured)):
        remedy = "If it is still in use, add it to ACCOUNTS_FILE: its orders wait for that."
        yield Check("account", Severity.WARNING, "not configured here", remedy, account)
