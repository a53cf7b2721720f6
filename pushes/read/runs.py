"""Bulk runs: what each is about, who started it and why, how far it is, and what came of it.

A run replays, discards or restores many orders. `pushes.operate.runs` starts and steers it and
goes on with it. Changes nothing. Every function raises RedisError.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from redis import Redis
from typing_extensions import TypedDict

from pushes.model import ExplainedWord, Reason, State
from pushes.read.cursors import CursorError
from pushes.read.dead_letters import Filter
from pushes.read.views import instant, optional
from pushes.store import codec, keys
from pushes.store.counted import run_counts


class RunAction(StrEnum):
    """What a run does to each of its orders."""

    REPLAY = "replay"
    DISCARD = "discard"
    RESTORE = "restore"  # takes a discard back


class RunState(ExplainedWord):
    """Where a run is."""

    RUNNING = "running", "It goes through its orders."
    PAUSED = "paused", "An operator paused it; it can be resumed."
    FINISHING = "finishing", "It has gone through its orders; not all have a result yet."
    DONE = "done", "It is over."
    CANCELLED = "cancelled", "An operator ended it; the orders it had not reached are as they were."

    @property
    def is_over(self) -> bool:
        """Whether nothing more is done for it."""
        return self in {RunState.DONE, RunState.CANCELLED}


@dataclass(frozen=True, slots=True)
class BulkRun:
    """One run, as it stands in Redis, with what it counted.

    `wanted` says which dead letters it is about; None: those that were selected, or discarded by
    the run `undoes`. `total` is how many they were when it was started. `cursor` is where it is.
    `rate_per_s` is the most it does a second, `next_at` the epoch seconds from which on it may.
    """

    id: str
    action: RunAction
    state: RunState
    by: str
    why: str
    made_at: datetime
    total: int
    wanted: Filter | None = None
    undoes: str | None = None
    limit: int | None = None
    rate_per_s: float | None = None
    next_at: float = 0.0
    cursor: str | None = None
    ended_at: datetime | None = None
    acted: int = 0
    results: Mapping[State, int] | None = None

    @property
    def account(self) -> str | None:
        """Name the one account that it is about; None when they may be several."""
        return self.wanted.account if self.wanted else None

    @property
    def with_result(self) -> int:
        """How many of its orders are settled, or dead again."""
        return sum((self.results or {}).values())

    @property
    def skipped(self) -> int:
        """How many were not dead any more when it came to them; known when it is through."""
        through = self.state in {RunState.FINISHING, RunState.DONE}
        return max(0, self.total - self.acted) if through else 0

    @property
    def is_undoable(self) -> bool:
        """Whether it discarded orders; for how long that can be undone, `policy` says."""
        return self.action is RunAction.DISCARD and self.acted > 0


@dataclass(frozen=True, slots=True)
class RunPage:
    """Runs, the latest first, and where the next page begins, if there is one."""

    items: tuple[BulkRun, ...]
    next_cursor: str | None


class RunResultView(TypedDict):
    """What came of the orders of a run. `waiting` have no result yet."""

    acted: int
    skipped: int
    waiting: int
    acknowledged: int
    not_needed: int
    dead_again: int


class RunFilterView(TypedDict):
    """Which dead letters a run is about; null means any."""

    reason: str | None
    account: str | None
    code: str | None
    since: str | None
    until: str | None
    accounts: list[str] | None


class RunView(TypedDict):
    """One bulk run. `filter` is null when orders were selected one by one."""

    id: str
    action: str
    state: str
    by: str
    why: str
    started_at: str
    ended_at: str | None
    rate_per_s: float | None
    limit: int | None
    total: int
    filter: RunFilterView | None
    undoes: str | None
    results: RunResultView


def get(redis: Redis, run_id: str) -> BulkRun | None:
    """Read one run; None when there is none, or none that can be read."""
    return get_many(redis, [run_id])[0]


def get_many(redis: Redis, run_ids: list[str]) -> list[BulkRun | None]:
    """Read runs in one round trip, in the order asked for."""
    pipeline = redis.pipeline(transaction=False)
    for run_id in run_ids:
        pipeline.hgetall(keys.run(run_id))
        pipeline.hgetall(keys.run_results(run_id))
    answers = pipeline.execute()
    return [
        _decode(run_id, raw, counted)
        for run_id, raw, counted in zip(run_ids, answers[::2], answers[1::2], strict=True)
    ]


def active(redis: Redis) -> list[BulkRun]:
    """List the runs that are not over, the first that was started first."""
    members = cast(set[bytes], redis.smembers(keys.ACTIVE_RUNS))
    found = get_many(redis, [member.decode(errors="replace") for member in members])
    return sorted((run for run in found if run), key=lambda run: (run.made_at, run.id))


def page(redis: Redis, *, limit: int = 50, cursor: str | None = None) -> RunPage:
    """List one page. Raises CursorError for a cursor that no page gave."""
    high = "+inf" if cursor is None else f"({_read_cursor(cursor)}"
    raw = cast(
        list[tuple[bytes, float]],
        redis.zrevrangebyscore(keys.RUNS, high, "-inf", 0, limit + 1, withscores=True),
    )
    found = get_many(redis, [member.decode(errors="replace") for member, _ in raw[:limit]])
    following = repr(raw[limit - 1][1]) if len(raw) > limit else None
    return RunPage(tuple(run for run in found if run), following)


def encode(run: BulkRun) -> dict[Any, Any]:  # as redis-py types a hash
    """Write a run as the fields of its hash; what it counts stands elsewhere."""
    raw = {
        "action": str(run.action),
        "state": str(run.state),
        "by": run.by,
        "why": run.why,
        "made_at": codec.epoch(run.made_at),
        "total": str(run.total),
        "wanted": _filter_to_json(run.wanted) if run.wanted else None,
        "undoes": run.undoes,
        "limit": str(run.limit) if run.limit else None,
        "rate": repr(run.rate_per_s) if run.rate_per_s else None,
        "next_at": f"{run.next_at:.3f}" if run.rate_per_s else None,
    }
    return {name: value for name, value in raw.items() if value is not None}


def view(run: BulkRun) -> RunView:
    """Show a run."""
    counted = run.results or {}
    return {
        "id": run.id,
        "action": str(run.action),
        "state": str(run.state),
        "by": run.by,
        "why": run.why,
        "started_at": instant(run.made_at),
        "ended_at": optional(run.ended_at),
        "rate_per_s": run.rate_per_s,
        "limit": run.limit,
        "total": run.total,
        "filter": _filter_view(run.wanted) if run.wanted else None,
        "undoes": run.undoes,
        "results": {
            "acted": run.acted,
            "skipped": run.skipped,
            "waiting": run.acted - run.with_result if run.action is RunAction.REPLAY else 0,
            "acknowledged": counted.get(State.ACKNOWLEDGED, 0),
            "not_needed": counted.get(State.NOT_NEEDED, 0),
            "dead_again": counted.get(State.DEAD, 0),
        },
    }


def _filter_view(wanted: Filter) -> RunFilterView:
    return {
        "reason": str(wanted.reason) if wanted.reason else None,
        "account": wanted.account,
        "code": wanted.code,
        "since": optional(wanted.since),
        "until": optional(wanted.until),
        "accounts": None if wanted.accounts is None else sorted(wanted.accounts),
    }


def _decode(
    run_id: str, raw: Mapping[bytes, bytes], counted: Mapping[bytes, bytes]
) -> BulkRun | None:
    try:
        facts = {name.decode(): value.decode() for name, value in raw.items()}
        counts = {name.decode(): codec.number(value) for name, value in counted.items()}
        return BulkRun(
            id=run_id,
            action=RunAction(facts["action"]),
            state=RunState.of(facts["state"]),
            by=facts["by"],
            why=facts["why"],
            made_at=codec.moment(facts["made_at"]),
            total=codec.number(facts["total"]),
            wanted=_filter_from_json(facts["wanted"]) if "wanted" in facts else None,
            undoes=facts.get("undoes"),
            limit=codec.number(facts["limit"]) if "limit" in facts else None,
            rate_per_s=float(facts["rate"]) if "rate" in facts else None,
            next_at=float(facts.get("next_at", 0)),
            cursor=facts.get("cursor"),
            ended_at=codec.moment(facts["ended_at"]) if "ended_at" in facts else None,
            acted=counts.pop(run_counts.ACTED, 0),
            results={State.of(word): count for word, count in counts.items()},
        )
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def _filter_to_json(wanted: Filter) -> str:
    facts = asdict(wanted)
    for name in ("since", "until"):
        facts[name] = facts[name] and codec.epoch(facts[name])
    facts["accounts"] = None if wanted.accounts is None else sorted(wanted.accounts)
    return json.dumps({name: fact for name, fact in facts.items() if fact is not None})


def _filter_from_json(text: str) -> Filter:
    facts = json.loads(text)
    if unknown := facts.keys() - {field.name for field in fields(Filter)}:
        raise ValueError(f"a filter of a newer version: {sorted(unknown)}")
    for name in ("since", "until"):
        if name in facts:
            facts[name] = codec.moment(facts[name])
    if "reason" in facts:
        facts["reason"] = Reason.of(facts["reason"])
    if "accounts" in facts:
        facts["accounts"] = frozenset(facts["accounts"])
    return Filter(**facts)


def _read_cursor(cursor: str) -> float:
    try:
        return float(cursor)
    except ValueError:
        raise CursorError(
            f"cursor {cursor[:40]!r}: use the next_cursor of the page before, unchanged"
        ) from None
