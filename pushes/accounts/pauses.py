"""Pausing an account: Klarna answered 429, so none of its orders is called for until a moment.

A pause is the account's, never a thread's: nobody sleeps through it. It ends by itself, or at an
operator's word (`Holds.resume`). An order that alone is answered 429 pauses its account for a
moment only, again and again as it may be.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from redis import Redis

from pushes.accounts import clock
from pushes.accounts.clock import Fact, Now
from pushes.model import PUSH_WINDOW
from pushes.store import codec, keys

# Klarna counts requests per second (Klarna docs, "Rate limiting"): after it others may pass.
_SHORT_PAUSE_S = 1.0

# How long it is remembered who was answered 429: while Klarna pushes an order.
_REMEMBERED_S = int(PUSH_WINDOW.total_seconds())


@dataclass(frozen=True, slots=True)
class Pause:
    """Until when nobody calls Klarna for an account, and why."""

    account: str
    until: datetime
    cause: str


class Pauses:
    """The pauses of all accounts. Threads share it. Every method raises RedisError."""

    def __init__(self, redis: Redis, now: Now | None = None) -> None:
        self._redis = redis
        self._now = now
        self._limit = redis.register_script(clock.script("limit.lua"))

    def limited(self, account: str, job_id: str, pause_s: float, cause: str) -> bool:
        """Pause an account, of which an order was answered 429.

        Say whether it is this order alone: no other was answered so since the last sensible
        answer, and this one not either. False when asked again.
        """
        names = [keys.limited(account), keys.PAUSES, keys.quota(account), keys.TOTALS]
        facts: list[Fact] = [account, job_id, pause_s, _SHORT_PAUSE_S, cause, _REMEMBERED_S]
        return bool(self._limit(names, [*facts, clock.argument(self._now)]))

    def active(self) -> dict[str, Pause]:
        """Read which accounts are paused now, by name."""
        now = clock.read(self._redis, self._now)
        raw = cast(
            list[tuple[bytes, float]],
            self._redis.zrangebyscore(keys.PAUSES, f"({codec.epoch(now)}", "+inf", withscores=True),
        )
        ends = {account.decode(): until for account, until in sorted(raw)}
        pipeline = self._redis.pipeline(transaction=False)
        for account in ends:
            pipeline.hget(keys.quota(account), "pause_cause")
        return {
            account: Pause(account, codec.moment(str(until)), (cause or b"").decode())
            for (account, until), cause in zip(ends.items(), pipeline.execute(), strict=True)
        }
