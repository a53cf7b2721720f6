"""Starting a bulk run after a look at what it is about, pausing, resuming, cancelling, undoing it.

Who and why is audited: when a run begins, whenever somebody steers it, and when it ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import getrandbits
from typing import cast

from redis import Redis

from pushes import policy
from pushes.model import Push, PushKey
from pushes.operate import audit
from pushes.operate.batch import Operator
from pushes.read import dead_letters, runs
from pushes.read.audit import AuditEntry, AuditResult
from pushes.read.dead_letters import Filter
from pushes.read.runs import BulkRun, RunAction, RunState
from pushes.store import codec, keys
from pushes.store.connection import read_script
from pushes.store.counted import run_counts

_CHANGE = read_script("pushes.operate.runs", "change_run.lua")

# So many of what a run would be about are shown before it is started.
_SAMPLE = 10

# In which states a run may be steered, and what it becomes.
_Turn = tuple[frozenset[RunState], RunState]
_PAUSE: _Turn = frozenset({RunState.RUNNING}), RunState.PAUSED
_RESUME: _Turn = frozenset({RunState.PAUSED}), RunState.RUNNING
_CANCEL: _Turn = frozenset({RunState.RUNNING, RunState.PAUSED}), RunState.CANCELLED

# A death in the same millisecond as the start belongs to the run.
_MOMENT = timedelta(milliseconds=1)


class RunRefusedError(Exception):
    """A run that cannot be started or steered like this; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What an operator asks for: what to do to dead letters, why, who, and how fast at most.

    At most `limit` of them, the longest dead first.
    """

    action: RunAction
    by: str
    why: str
    rate_per_s: float | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """How many dead letters a run would be about, and some of them, the longest dead first."""

    count: int
    sample: tuple[Push, ...]


def preview(redis: Redis, wanted: Filter) -> Preview:
    """Look what a run would be about. Reads only. Raises RedisError."""
    count = dead_letters.count(redis, wanted)
    return Preview(count, dead_letters.page(redis, wanted, limit=_SAMPLE).items)


def start(redis: Redis, order: RunRequest, wanted: Filter, now: datetime) -> BulkRun:
    """Start a run over all that match and are dead now; later deaths are none of its business.

    Raises RedisError: then it may have been started, and is in the list of runs if it was.
    """
    until = now + _MOMENT
    wanted = replace(wanted, until=min(wanted.until or until, until))
    total = dead_letters.count(redis, wanted)
    if order.limit:
        total = min(total, order.limit)
    return _begin(redis, order, total, now, wanted=wanted)


def start_selected(
    redis: Redis, order: RunRequest, selected: Sequence[PushKey], now: datetime
) -> BulkRun:
    """Start a run over orders that were selected one by one. Raises as `start` does."""
    members = {keys.job_id(key): number for number, key in enumerate(selected)}
    return _begin(redis, order, len(members), now, members=members)


def undo(redis: Redis, run_id: str, *, by: str, why: str, now: datetime) -> BulkRun:
    """Start a run that takes the discards of another one back. Raises as `start` does.

    Raises RunRefusedError when there are none, or none any more.
    """
    run = _known(redis, run_id)
    if run.action is not RunAction.DISCARD:
        raise RunRefusedError(f"Run {run_id} is a {run.action}: only a discard can be undone.")
    if not run.state.is_over:
        raise RunRefusedError(f"Run {run_id} is {run.state}: cancel it first, then undo it.")
    total = redis.zcard(keys.run_discards(run_id))
    if not total:
        hours = int(policy.UNDONE_WITHIN.total_seconds() // 3600)
        raise RunRefusedError(
            f"Run {run_id} has discarded nothing in the last {hours} hours. A single order can"
            " still be replayed by its id."
        )
    return _begin(redis, RunRequest(RunAction.RESTORE, by, why), total, now, undoes=run_id)


def pause(redis: Redis, run_id: str, *, by: str, why: str | None, now: datetime) -> BulkRun:
    """Let a run wait. Raises RunRefusedError when it does not run, and RedisError."""
    return _steer(redis, run_id, _PAUSE, Operator(by, "pause run", why), now)


def resume(redis: Redis, run_id: str, *, by: str, why: str | None, now: datetime) -> BulkRun:
    """Let a paused run go on. Raises RunRefusedError when it is not, and RedisError."""
    return _steer(redis, run_id, _RESUME, Operator(by, "resume run", why), now)


def cancel(redis: Redis, run_id: str, *, by: str, why: str | None, now: datetime) -> BulkRun:
    """End a run: what it has not reached stays as it is. Raises as `pause` does."""
    return _steer(redis, run_id, _CANCEL, Operator(by, "cancel run", why), now)


def change(
    redis: Redis, run_id: str, may_be: frozenset[RunState], becomes: RunState, now: datetime
) -> RunState | None:
    """Change the state of a run that is in one of some; return in which it was, if there is one."""
    run_script = redis.register_script(_CHANGE)
    was = cast(
        bytes | None,
        run_script(
            keys=[keys.run(run_id), keys.ACTIVE_RUNS],
            args=[
                run_id,
                "".join(f",{state}," for state in may_be),
                str(becomes),
                int(becomes.is_over),
                codec.epoch(now),
                run_counts.KEPT_S,
            ],
        ),
    )
    return RunState.of(was.decode()) if was else None


def _begin(  # noqa: PLR0913 - which orders a run is about is said in one of three ways
    redis: Redis,
    order: RunRequest,
    total: int,
    now: datetime,
    *,
    wanted: Filter | None = None,
    members: dict[str, int] | None = None,
    undoes: str | None = None,
) -> BulkRun:
    run = BulkRun(
        id=f"{getrandbits(32):08x}",
        action=order.action,
        state=RunState.RUNNING,
        by=order.by,
        why=order.why,
        made_at=now,
        total=total,
        wanted=wanted,
        undoes=undoes,
        limit=order.limit,
        rate_per_s=order.rate_per_s,
        next_at=now.timestamp(),
    )
    begun = AuditEntry(
        run.by, str(run.action), run.account, AuditResult.BEGUN, run.why, total, detail=say(run)
    )
    audit.append(redis, begun)
    pipeline = redis.pipeline(transaction=True)
    pipeline.hset(keys.run(run.id), mapping=runs.encode(run))
    pipeline.zadd(keys.RUNS, {run.id: codec.epoch(now)})
    if members:
        pipeline.zadd(keys.run_orders(run.id), dict(members))
        pipeline.expire(keys.run_orders(run.id), run_counts.KEPT_S)
    pipeline.sadd(keys.ACTIVE_RUNS, run.id)
    pipeline.execute()
    return run


def _steer(redis: Redis, run_id: str, turn: _Turn, operator: Operator, now: datetime) -> BulkRun:
    may_be, becomes = turn
    was = change(redis, run_id, may_be, becomes, now)
    run = _known(redis, run_id)
    if was not in may_be:
        raise RunRefusedError(f"Run {run_id} is {run.state}: {run.state.sentence}")
    by, action, why = operator.by, operator.action, operator.why
    entries = [AuditEntry(by, action, run.account, why=why, detail=say(run))]
    if becomes.is_over:
        entries.append(ended(run, AuditResult.INTERRUPTED))
    audit.append(redis, *entries)
    return run


def say(run: BulkRun) -> str:
    """Name a run in an entry of the audit."""
    return f"run {run.id}"


def ended(run: BulkRun, result: AuditResult) -> AuditEntry:
    """Write the entry for the end of a run."""
    return AuditEntry(
        run.by,
        str(run.action),
        run.account,
        result,
        run.why,
        orders=run.acted,
        refused=run.skipped,
        detail=say(run),
    )


def _known(redis: Redis, run_id: str) -> BulkRun:
    run = runs.get(redis, run_id)
    if run is None:
        raise RunRefusedError(f"There is no run {run_id[:40]!r}: `klarna-ack run list` names all.")
    return run
