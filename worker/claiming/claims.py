"""Taking jobs: which pushes may be attempted now, in which order, and when each may call Klarna.

One script over the queue decides for all workers: it serves each account within its quota, fresh
pushes before what waited, what waited before what Klarna does not know, and in each of these lanes
the earliest deadline first (`policy.TURNS`). Of a held account it takes one probe at a time, and
parks the rest. A job that is taken stands in RQ's intermediate list until its attempt begins: a
worker that dies in between loses nothing, recovery finds it there.
"""

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import cast

from redis.exceptions import ResponseError

from pushes import policy
from pushes.model import HoldReason, Lane, Push, PushKey
from pushes.store import keys
from pushes.store.commits import Raw
from pushes.store.ledger import Ledger
from pushes.store.rq_job import PushJob
from worker.claiming.quota import TTL_S, Now, Quota, script
from worker.clock import SYSTEM_CLOCK, Clock

# A slot this far away is taken now and waited for; the lower, the sooner an acknowledge gets one.
_HORIZON_S = 0.05

# While jobs wait for slots, they are taken so often; more often would cost more than it saves.
_SHORTEST_WAIT_S = 0.02

# A probe is one of the so many most urgent pushes, or the one that came last, in turn.
_PROBE_AMONG = 5


# A job as claim.lua returns it: errand, id, wait in seconds, why held, data, record.
_Row = tuple[bytes, bytes, bytes, bytes, bytes | None, Raw]


class Errand(StrEnum):
    """What a job is taken for."""

    ATTEMPT = "attempt"
    PROBE = "probe"  # an attempt that shows whether its held account can be served again
    PARK = "park"  # its account is held: no attempt, the push waits with it


@dataclass(frozen=True, slots=True)
class Claim:
    """One job that was taken, as Redis holds it; `data` is None when its hash is gone.

    The attempt may call Klarna at `slot_at`, on the worker's monotonic clock; None: at once.
    """

    key: PushKey
    data: bytes | None
    push: Push | None
    errand: Errand = Errand.ATTEMPT
    slot_at: float | None = None
    why_held: HoldReason | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What one look at the queue gave, and what it says about the next.

    `wait_s` is how long until more can be taken, None when nothing is known to wait.
    """

    claims: list[Claim]
    wait_s: float | None
    queue_is_empty: bool


class Claims:
    """Takes jobs for one worker process, of the accounts that `quota` knows.

    `now` is Redis's time unless given. Every method raises RedisError.
    """

    def __init__(
        self,
        ledger: Ledger,
        quota: Quota,
        clock: Clock = SYSTEM_CLOCK,
        now: Now | None = None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._now = now
        self._turn = 0
        queue = ledger.rq.queue
        self._claim = ledger.redis.register_script(script("quota.lua", "claim.lua"))
        always = {
            "accounts": [share.facts() for share in quota.shares.values()],
            "prefix": keys.PREFIX,
            "job_prefix": PushJob.redis_job_namespace_prefix,
            "queue": queue.key,
            "popped": queue.intermediate_queue_key,
            "lanes": list(Lane),
            "lanes_by_turn": policy.TURNS,
            "unknown_lane": Lane.UNKNOWN,
            "unknown_share": policy.UNKNOWN_SHARE,
            "horizon_s": _HORIZON_S,
            "probe_among": _PROBE_AMONG,
            "quota_ttl_s": TTL_S,
        }
        self._always = json.dumps(always)

    def take(self, at_most: int, in_hand: bytes | None = None) -> Taken:
        """Take the jobs that may be attempted now, at most so many.

        `in_hand` is one that `wait` popped: it gets its place in the order, and mostly is what
        comes back.
        """
        if in_hand and keys.find_key(in_hand) is None:
            self._ledger.drop_foreign(in_hand)
            in_hand = None
        self._turn += 1  # another account comes first each time: none takes all the free threads
        now = self._now().timestamp() if self._now else ""
        asked: list[str | bytes | int | float] = [
            *(self._always, at_most, self._turn),
            *(in_hand or "", now),
        ]
        raw, wait_s, left = cast(tuple[list[_Row], bytes, int], self._claim([], asked))
        claims = [self._read(facts) for facts in raw]
        shortest = max(float(wait_s), _SHORTEST_WAIT_S) if wait_s else None
        return Taken(claims, shortest, queue_is_empty=not left)

    def wait(self, block_s: float) -> bytes | None:
        """Wait until a job comes into the empty queue, and pop it, into RQ's intermediate list."""
        queue = self._ledger.rq.queue
        names = queue.key, queue.intermediate_queue_key
        return cast(bytes | None, self._ledger.redis.blmove(*names, block_s))  # type: ignore[arg-type]  # takes fractions

    def _read(self, row: _Row) -> Claim:
        errand, job_id, wait_s, why_held, data, record = row
        key = keys.parse_job_id(job_id.decode())
        return Claim(
            key,
            data,
            self._ledger.read(key, record),
            Errand(errand.decode()),
            self._clock.monotonic() + float(wait_s) if float(wait_s) else None,
            HoldReason(why_held.decode()) if why_held else None,
        )


def reread(ledger: Ledger, claims: list[Claim]) -> list[Claim]:
    """Read jobs and records once more, of what was taken a while ago."""
    found = ledger.get_with_jobs(claim.key for claim in claims)
    return [
        replace(claim, data=b"" if isinstance(data, ResponseError) else data, push=push)
        for claim, (data, push) in zip(claims, found, strict=True)
    ]
