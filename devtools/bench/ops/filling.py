"""Writing a full Redis: records, indexes and jobs as the ledger writes them, one step an order.

A settled order is written as it is days later: its timeline and its RQ job have expired, unless it
was settled today.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta

from redis import Redis

from devtools.bench.ops.orders import FullRedis
from devtools.bench.scale import filling
from devtools.reporting.run import cores
from pushes import life, policy
from pushes.accounts.holds import Holds
from pushes.model import Change, HoldReason, PushKey, State
from pushes.operate import audit
from pushes.operate.runs import steer
from pushes.operate.runs.steer import RunRequest
from pushes.read.audit import AuditEntry
from pushes.read.dead_letters import Filter
from pushes.read.runs import RunAction
from pushes.store import indexes, keys
from pushes.store.ledger import Ledger
from pushes.store.rq_mirror import Command
from pushes.store.texts import search_index

# So many a round trip.
_BATCH = 500

# So many accounts are held by an operator, with so many orders each; and so many are retrying.
_HELD_ACCOUNTS, _HELD_EACH = 20, 50
_RETRYING = 1000

# The audit is cut off at this length, and so many bulk runs are in it.
_AUDIT_LINES = 20_000
_RUNS = 200

_WHY = "Klarna is back"


def fill(url: str, full: FullRedis) -> None:
    """Write it all, as many processes at a time as there are cores. Raises RedisError."""
    parts = cores()
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(parts, spawning) as pool:
        for done in [pool.submit(_write_share, url, full, part, parts) for part in range(parts)]:
            done.result()
    with Redis.from_url(url) as redis:
        ledger = Ledger(redis)
        _write_waiting(ledger, full)
        _write_acts(redis, full)


def _write_share(url: str, full: FullRedis, part: int, of: int) -> None:
    with Redis.from_url(url) as redis:
        ledger = Ledger(redis)
        numbers = list(range(part, full.dead + full.settled, of))
        for start in range(0, len(numbers), _BATCH):
            batch = numbers[start : start + _BATCH]
            ledger.run_while_as_seen([_writing(ledger, full, number) for number in batch])


def _writing(ledger: Ledger, full: FullRedis, number: int) -> tuple[PushKey, None, list[Command]]:
    """List what stands of an order in Redis: what the ledger's own commit lists, but the counts."""
    ended = full.change(number)
    whole, key = Change(None, ended.after, ended.entries), ended.after.key
    is_dead = ended.after.state is State.DEAD
    is_of_today = full.until - ended.after.changed_at < policy.TIMELINE_KEPT
    commands: list[Command] = [
        *indexes.commands(whole),
        *search_index.commands(whole, ledger.retention),
        *indexes.expiry(keys.record(key), whole, ledger.retention),
        *(ledger.rq.move(ended) if is_dead else []),
        *(indexes.timeline(whole, ledger.retention) if is_dead or is_of_today else []),
        *indexes.record(whole, ledger.retention),
    ]
    return key, None, commands


def _write_waiting(ledger: Ledger, full: FullRedis) -> None:
    held = full.names[-_HELD_ACCOUNTS:]
    for name in held:
        Holds(ledger.redis).begin(name, HoldReason.OPERATOR, "closed for the season", "anna")
    filling.fill(ledger, _held, held, each=_HELD_EACH)
    filling.fill(ledger, _retrying, full.names, each=max(1, _RETRYING // full.accounts))


def _held(key: PushKey, now: datetime) -> list[Change]:
    pushed = life.first_pushed(key, now)
    parked = life.parked(pushed.after, HoldReason.OPERATOR, now, by="anna")
    return [pushed, parked] if parked else [pushed]


def _retrying(key: PushKey, now: datetime) -> list[Change]:
    pushed = life.first_pushed(key, now)
    again = life.retrying(
        pushed.after, now + timedelta(hours=5), now, error="HTTP 503", failed=True
    )
    return [pushed, again]


def _write_acts(redis: Redis, full: FullRedis) -> None:
    """Write down what operators did: the audit as long as it gets, and bulk runs."""
    names, lines = full.names, max(100, min(_AUDIT_LINES, full.dead))
    entries = [
        AuditEntry("anna", "replay", names[number % len(names)], why=_WHY, orders=1)
        for number in range(lines)
    ]
    for start in range(0, lines, _BATCH):
        audit.append(redis, *entries[start : start + _BATCH])
    for number in range(_RUNS):
        request = RunRequest(RunAction.REPLAY, "anna", _WHY)
        now = datetime.now(UTC)
        run = steer.start(redis, request, Filter(account=names[number % len(names)]), now)
        steer.cancel(redis, run.id, by="anna", why=_WHY, now=now)
