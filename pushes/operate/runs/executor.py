"""Going on with bulk runs, a portion at a time. Any process may, and one at a time does.

A run walks its orders once, by the index that holds them; where it is stands in Redis, so that
another process goes on when this one dies. It is done to each order at most once: the guarded
commit takes it only while the order is dead, and an order that this run changed before is left as
it is, whatever became of it since.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pushes import life
from pushes.model import Change, Push, PushKey, Reason
from pushes.operate import audit, replay
from pushes.operate.runs import steer
from pushes.read import cursors, dead_letters, runs
from pushes.read.audit import AuditResult
from pushes.read.runs import BulkRun, RunAction, RunState
from pushes.read.search import listing
from pushes.read.search.listing import Source
from pushes.store import codec, keys
from pushes.store.connection import read_script
from pushes.store.ledger import Ledger

# How often whoever goes on with runs does, and for how long it holds the lock each time. Pausing
# and cancelling are heard between two portions.
STEP_EVERY_S = 0.5
_LOCK_S = 5

# One step does this much of a run that has no rate: 500 a second, which intake does not feel.
_PORTION = 250

# A run that lagged behind its rate makes up for this much and no more.
_BURST_S = 1.0

# A run that replayed orders waits this long for their results: the retries last for two days.
_RESULTS_WITHIN = timedelta(days=3)


class RunExecutor:
    """Goes on with all runs; `holder` names the process."""

    def __init__(self, ledger: Ledger, holder: str) -> None:
        self._ledger = ledger
        self._redis = ledger.redis
        self._holder = holder
        self._lock = ledger.redis.register_script(
            read_script("pushes.operate.runs", "take_lock.lua")
        )

    def step(self, now: datetime) -> int:
        """Do the next portion of each run; return to how many orders it was done.

        Raises RedisError; then it goes on with the next step.
        """
        active = runs.active(self._redis)
        if not active or not self._lock(keys=[keys.RUNS_LOCK], args=[self._holder, _LOCK_S]):
            return 0
        return sum(self._go_on(run, now) for run in active)

    def release(self) -> None:
        """Let another process go on at once."""
        if self._redis.get(keys.RUNS_LOCK) == self._holder.encode():
            self._redis.delete(keys.RUNS_LOCK)

    def _go_on(self, run: BulkRun, now: datetime) -> int:
        if run.state is RunState.FINISHING:
            if run.with_result >= run.acted or now - run.made_at > _RESULTS_WITHIN:
                self._end(run, RunState.FINISHING, now)
            return 0
        portion = _portion(run, now)
        if run.state is not RunState.RUNNING or portion is None:
            return 0
        if not portion:  # whoever did the last of it died before it said so
            self._walked(run, now)
            return 0
        after = cursors.read(run.cursor) if run.cursor else None
        found = listing.read(self._redis, self._source(run), after, limit=portion)
        made = self._act(run, found.places, now)
        self._remember(run, cursors.write(found.last) if found.last else None, portion, now)
        reached = run.acted + made
        if found.last is None or (run.limit is not None and reached >= run.limit):
            self._walked(run, now)
        return made

    def _source(self, run: BulkRun) -> Source:
        if run.undoes:
            return Source([keys.run_discards(run.undoes)])
        if run.wanted is None:
            return Source([keys.run_orders(run.id)])
        return dead_letters.source(self._redis, run.wanted)

    def _act(self, run: BulkRun, places: Sequence[tuple[float, str]], now: datetime) -> int:
        wanted: list[PushKey] = [keys.parse_job_id(member) for _, member in places]
        pushes = self._ledger.read_many(wanted, now)
        changes = [
            change
            for push, (score, _) in zip(pushes, places, strict=True)
            if push and push.run != run.id and (change := _step(run, push, score, now))
        ]
        return sum(self._ledger.commit_many(changes))

    def _remember(self, run: BulkRun, cursor: str | None, portion: int, now: datetime) -> None:
        facts: dict[Any, Any] = {"cursor": cursor or run.cursor or ""}
        if run.rate_per_s:
            since = max(run.next_at, now.timestamp() - _BURST_S)
            facts["next_at"] = f"{since + portion / run.rate_per_s:.3f}"
        self._redis.hset(keys.run(run.id), mapping=facts)

    def _walked(self, run: BulkRun, now: datetime) -> None:
        if run.action is RunAction.REPLAY:
            steer.change(
                self._redis, run.id, frozenset({RunState.RUNNING}), RunState.FINISHING, now
            )
        else:
            self._end(run, RunState.RUNNING, now)

    def _end(self, run: BulkRun, state: RunState, now: datetime) -> None:
        if steer.change(self._redis, run.id, frozenset({state}), RunState.DONE, now) is not state:
            return  # somebody cancelled it meanwhile
        done = runs.get(self._redis, run.id) or run
        audit.append(self._redis, steer.ended(done, AuditResult.DONE))


def _portion(run: BulkRun, now: datetime) -> int | None:
    """Say how many orders come next; 0 at its limit, None while its rate allows none."""
    most = _PORTION
    if run.limit is not None:
        most = min(most, max(0, run.limit - run.acted))
    if run.rate_per_s:
        since_s = min(now.timestamp() - run.next_at, _BURST_S)
        if since_s < 0:
            return None
        most = min(most, int(since_s * run.rate_per_s) + 1)
    return most


def _step(run: BulkRun, push: Push, score: float, now: datetime) -> Change | None:
    until = run.wanted.until if run.wanted else None
    if until and push.changed_at >= until and push.reason is not Reason.UNREADABLE:
        return None  # it has died again since the run was started, and not by being met just now
    change: Change | None = None
    match run.action:
        case RunAction.REPLAY:
            change = life.replayed(push, run.by, run.why, now)
        case RunAction.DISCARD:
            change = life.discarded(push, run.by, run.why, now)
        case RunAction.RESTORE:
            died_at = codec.moment(str(score))
            change = replay.restored(push, run.by, run.why, now, died_at)
    return change and replace(change, after=replace(change.after, run=run.id))
