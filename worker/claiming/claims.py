"""Claiming jobs: which pushes may be attempted now, in which order, and when each may call Klarna.

One script over the queue decides for all workers: it serves the accounts that have something to
do, whichever waited longest for its turn first, each within its quota; fresh pushes before what
waited, what waited before what Klarna does not know, and in each of these lanes the earliest
deadline first (`policy.TURNS`). Of a held account it claims one probe at a time, and parks the
rest. A job that is claimed stands in RQ's intermediate list until its attempt
begins: a worker that dies in between loses nothing, recovery finds it there.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from enum import StrEnum
from threading import Event
from typing import cast

from redis import Redis
from redis.exceptions import ResponseError
from rq.job import Job

from pushes import log, policy
from pushes.accounts import clock as redis_clock
from pushes.accounts.clock import Now
from pushes.accounts.serving import Serving
from pushes.model import HoldReason, Lane, Push, PushKey
from pushes.store import counters, keys, records
from pushes.store.connection import read_script
from pushes.store.records import Raw
from pushes.store.rq_mirror import RqMirror
from worker.claiming.places import Places
from worker.claiming.quota import TTL_S, QuotaUse, script
from worker.clock import SYSTEM_CLOCK, Clock

_log = log.get(__name__)

# A slot this far away is taken now and waited for; the lower, the sooner an acknowledge gets one.
_HORIZON_S = 0.05

# While jobs wait for slots, the queue is looked at so often; oftener would cost more than it saves.
_SHORTEST_WAIT_S = 0.02

# How often the queue is looked at while what waits there cannot be attempted yet.
_LOOK_AGAIN_S = 0.1

# How often it is looked meanwhile whether something arrived, which may be of another account.
_ARRIVAL_S = 0.005

# An account that has its share of the places is looked at again after this.
_FULL_AGAIN_S = 0.05

# One claim looks at so many accounts of its own at most, and passes over some thousand of others'.
_CHUNK = 50
_CHUNKS = 40

# An account that could not be looked at is looked at again after this.
_FAILED_AGAIN_S = 60

# A claim moves so many jobs into RQ's list at most: more than one takes out of it.
_FILL_AT_MOST = 100

# A probe is one of the so many most urgent pushes, or the one that came last, in turn.
_PROBE_AMONG = 5

# A job as claim.lua returns it: kind, id, wait in seconds, why held, whether it stood in the queue,
# data, record.
_Row = tuple[bytes, bytes, bytes, bytes, int, bytes | None, Raw]

# What claim.lua returns: jobs, how long until there are more, jobs left, accounts with their error.
_Answer = tuple[list[_Row], bytes, int, list[tuple[bytes, bytes]]]


class ClaimKind(StrEnum):
    """What a job is claimed for."""

    ATTEMPT = "attempt"
    PROBE = "probe"  # an attempt that shows whether its held account can be served again
    PARK = "park"  # its account is held: no attempt, the push waits with it


@dataclass(frozen=True, slots=True)
class Claim:
    """One job that was claimed, as Redis holds it; `data` is None when its hash is gone.

    The attempt may call Klarna at `slot_at`, on the worker's monotonic clock; None: at once.
    Without `stood_in_queue` somebody has taken the job out of it, and out of RQ's books perhaps.
    """

    key: PushKey
    data: bytes | None
    push: Push | None
    kind: ClaimKind = ClaimKind.ATTEMPT
    slot_at: float | None = None
    why_held: HoldReason | None = None
    stood_in_queue: bool = True


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one look at the queue gave, and what it says about the next.

    `wait_s` is how long until more can be claimed, None when nothing is known to wait.
    """

    claims: list[Claim]
    wait_s: float | None
    queue_is_empty: bool

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits that this worker could attempt."""
        return not self.claims and (self.queue_is_empty or self.wait_s is None)


class Claims:
    """Claims jobs for one worker process, of the accounts that it serves.

    `now` is Redis's time unless given. Every method raises RedisError; then nothing is lost.
    """

    def __init__(  # noqa: PLR0913 - the parts of a worker that it needs
        self,
        redis: Redis,
        rq: RqMirror,
        serving: Serving,
        clock: Clock = SYSTEM_CLOCK,
        *,
        now: Now | None = None,
        use: QuotaUse | None = None,
        places: Places | None = None,
    ) -> None:
        self._redis = redis
        self._places = places
        self._use = use or QuotaUse(redis)
        self._rq = rq
        self._clock = clock
        self._now = now
        self._serving = serving
        self._popped: bytes | None = None
        self._claim = redis.register_script(
            read_script("pushes.store", "waiting.lua") + script("claim.lua")
        )
        self._facts = {
            "arrived": keys.WORK_ARRIVED,
            "work": keys.WORK,
            "chunk": _CHUNK,
            "chunks": _CHUNKS,
            "failed_again_s": _FAILED_AGAIN_S,
            "full_again_s": _FULL_AGAIN_S,
            "prefix": keys.PREFIX,
            "pauses": keys.PAUSES,
            "job_prefix": Job.redis_job_namespace_prefix,
            "queue": rq.queue.key,
            "deferred": rq.queue.deferred_job_registry.key,
            "fill_at_most": _FILL_AT_MOST,
            "popped": rq.queue.intermediate_queue_key,
            "lanes": list(Lane),
            "lanes_by_turn": policy.TURNS,
            "unknown_lane": Lane.UNKNOWN,
            "unknown_share": policy.UNKNOWN_SHARE,
            "horizon_s": _HORIZON_S,
            "probe_among": _PROBE_AMONG,
            "quota_ttl_s": TTL_S,
        }
        self._always: tuple[str, str] = ("", "")

    def claim(self, at_most: int) -> Claimed:
        """Claim the jobs that may be attempted now, at most so many."""
        popped = self._popped
        if popped and keys.find_key(popped) is None:
            drop_foreign_job(self._redis, self._rq, popped)
            popped = None
        answer = self._ask(at_most, popped)
        if answer is None:  # Redis has lost which accounts we serve
            self._serving.announce()
            answer = self._ask(at_most, popped)
        raw, wait_s, left, failed = answer or ([], b"", 0, [])
        for account, error in failed:
            _log_failed(account.decode(), error.decode())
        self._popped = None
        self._note_use(raw)
        shortest = max(float(wait_s), _SHORTEST_WAIT_S) if wait_s else None
        return Claimed([self._read(row) for row in raw], shortest, queue_is_empty=not left)

    def wait(self, claimed: Claimed, longest_s: float, stopping: Event) -> None:
        """Wait, after a look that gave nothing, until one may give something; not for longer.

        A job that comes into the empty queue ends the wait: it is popped, into RQ's intermediate
        list, and gets its place in the order with the next `claim`.
        """
        if not claimed.queue_is_empty:  # what waits needs a slot, a place, or another worker
            self._await_arrival(min(claimed.wait_s or _LOOK_AGAIN_S, _LOOK_AGAIN_S), stopping)
            return
        names = self._rq.queue.key, self._rq.queue.intermediate_queue_key
        block_s = min(claimed.wait_s or longest_s, longest_s)
        self._popped = cast(bytes | None, self._redis.blmove(*names, block_s))  # type: ignore[arg-type]  # takes fractions

    def _await_arrival(self, longest_s: float, stopping: Event) -> None:
        end = self._clock.monotonic() + longest_s
        while (left_s := end - self._clock.monotonic()) > 0:
            if stopping.wait(min(_ARRIVAL_S, left_s)) or self._redis.exists(keys.WORK_ARRIVED):
                return

    def reread(self, claims: list[Claim]) -> list[Claim]:
        """Read jobs and records once more, of what was claimed a while ago."""
        pipeline = self._redis.pipeline(transaction=False)
        for claim in claims:
            pipeline.hget(Job.key_for(keys.job_id(claim.key)), "data")
            pipeline.hgetall(keys.record(claim.key))
        answers = pipeline.execute(raise_on_error=False)
        return [
            replace(
                claim,
                data=b"" if isinstance(data, ResponseError) else data,
                push=records.read(claim.key, record),
            )
            for claim, data, record in zip(claims, answers[::2], answers[1::2], strict=True)
        ]

    def forget(self, key: PushKey) -> None:
        """Take a job out of RQ's intermediate list: nothing more is to be done for it."""
        self._redis.lrem(self._rq.queue.intermediate_queue_key, 1, keys.job_id(key))

    def _ask(self, at_most: int, popped: bytes | None) -> _Answer | None:
        key, always = self._always
        if key != self._serving.key:  # the first time, or others are served now
            key = self._serving.key
            always = json.dumps({**self._facts, "shares": key})
            self._always = (key, always)
        facts: list[str | bytes | float] = [
            always,
            at_most,
            popped or "",
            redis_clock.argument(self._now),
            self._places.asked(at_most) if self._places else "",
        ]
        return cast(_Answer | None, self._claim([], facts))

    def _note_use(self, rows: list[_Row]) -> None:
        waits_s: defaultdict[str, list[float]] = defaultdict(list)
        for kind, job_id, wait_s, *_ in rows:
            if kind != ClaimKind.PARK.encode():
                waits_s[job_id.partition(b"_")[0].decode(errors="replace")].append(float(wait_s))
        for account, waits in waits_s.items():
            self._use.note(account, waits)

    def _read(self, row: _Row) -> Claim:
        kind, job_id, wait_s, why_held, stood, data, record = row
        key = keys.parse_job_id(job_id.decode())
        return Claim(
            key,
            data,
            records.read(key, record),
            ClaimKind(kind.decode()),
            self._clock.monotonic() + float(wait_s) if float(wait_s) else None,
            HoldReason(why_held.decode()) if why_held else None,
            stood_in_queue=bool(stood),
        )


def _log_failed(account: str, error: str) -> None:
    _log.error(
        "account.not_claimed",
        account=account,
        error=error[:200],
        meaning="a key of the account in Redis is not what it should be; its orders wait, those of "
        "other accounts do not",
        action="find out who wrote that key, and delete it: the orders get their places again",
    )


def drop_foreign_job(redis: Redis, rq: RqMirror, job_id: bytes) -> None:
    """Take a job that names no push out of the queue, and say so. Raises RedisError."""
    for place in (rq.queue.key, rq.queue.intermediate_queue_key):
        redis.lrem(place, 1, cast(str, job_id))
    counters.add(redis, "foreign_job_dropped")
    _log.error(
        "queue.foreign_job_dropped",
        job_id=job_id[:80].decode(errors="backslashreplace"),
        meaning="somebody put a job that is no push into our queue; no order is concerned",
        action="find out who writes to this Redis",
    )
