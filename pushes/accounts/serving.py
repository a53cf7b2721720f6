"""Which accounts live workers serve, and at what rate; and which wait for a worker that does.

Workers with the same accounts share one hash of them in Redis, and renew it while one of them
lives. So a script that finds work by account knows whose it is without being told. An account
with orders that no live worker serves was taken out of the workers' settings, or never added.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Self, cast

from redis import Redis

from pushes import log
from pushes.accounts import clock
from pushes.accounts.clock import Fact, Now
from pushes.model import Lane
from pushes.store import codec, keys

_log = log.get(__name__)

# How long accounts count as served after the last worker that serves them has said so: three
# renewals, and more than a restart takes.
TTL_S = 75

# Slots are this share of the quota, evenly spaced. The rest is for what comes late: a call whose
# thread was not woken in time, and the network.
_PACE = 0.94

# So much of a second's slots may be used at once after a pause.
_BURST = 0.01


@dataclass(frozen=True, slots=True)
class Share:
    """How often an account may be called for: a slot every `interval_s` seconds.

    Of what was not used, `burst_s` may be used at once.
    """

    name: str
    interval_s: float
    burst_s: float

    @classmethod
    def of(cls, account: str, rate_per_s: float) -> Self:
        """Turn requests per second into slots."""
        return cls(account, 1 / (_PACE * rate_per_s), _BURST / _PACE)


class Serving:
    """What one worker serves. Threads share it. `announce` raises RedisError.

    `key` names the hash of its accounts in Redis.
    """

    def __init__(self, redis: Redis, shares: Iterable[Share], now: Now | None = None) -> None:
        self._redis = redis
        self._now = now
        self._renew = redis.register_script(clock.script("renew_shares.lua"))
        self._write_shares = redis.register_script(clock.script("write_shares.lua"))
        self.replace(shares)

    def replace(self, shares: Iterable[Share]) -> None:
        """Serve these accounts from now on, to be announced with the next claim."""
        self._served = served = _Served.of(shares)
        self.key = served.key

    def share_of(self, account: str) -> Share | None:
        """Return the share of an account; None when it is not served."""
        return self._served.shares.get(account)

    def announce(self) -> None:
        """Say that these accounts are served; take up those that waited for it, and log them.

        To be said again every `TTL_S / 3`, and at once when Redis has forgotten it.
        """
        served = self._served
        taken_up = self._renewed(served)
        if taken_up is None:
            self._write(served)
            taken_up = self._renewed(served)
        for account in taken_up or []:
            _log.info("account.served_again", account=account)

    def _renewed(self, served: "_Served") -> list[str] | None:
        names = [served.key, keys.SERVED, keys.UNSERVED, keys.WORK_ARRIVED]
        raw = cast(list[bytes] | None, self._renew(names, [TTL_S, clock.argument(self._now)]))
        return None if raw is None else [name.decode() for name in raw]

    def _write(self, served: "_Served") -> None:
        words = [word for pair in served.written.items() for word in pair]
        self._write_shares([served.key], [codec.to_json(words), TTL_S])


@dataclass(frozen=True, slots=True)
class _Served:
    """The accounts that are served, and how that is written in Redis: under which key, and what."""

    shares: Mapping[str, Share]
    written: Mapping[str, str]
    key: str

    @classmethod
    def of(cls, shares: Iterable[Share]) -> Self:
        by_name = {share.name: share for share in shares}
        written = {name: f"{one.interval_s!r} {one.burst_s!r}" for name, one in by_name.items()}
        return cls(by_name, written, keys.shares(_digest(written)))


@dataclass(frozen=True, slots=True)
class UnservedAccount:
    """An account with orders that no live worker serves: since when, and how many wait."""

    name: str
    since: datetime
    queued: int
    held: int


def unserved_since(redis: Redis) -> dict[str, datetime]:
    """Read which accounts wait for a worker, and since when, as `note_unserved` has found them."""
    raw = cast(list[tuple[bytes, float]], redis.zrange(keys.UNSERVED, 0, -1, withscores=True))
    return {name.decode(): codec.moment(str(at)) for name, at in raw}


def unserved(redis: Redis) -> list[UnservedAccount]:
    """Read the same with the numbers of orders, by name."""
    since = unserved_since(redis)
    names = sorted(since)
    waiting = _waiting(redis, names)
    return [UnservedAccount(name, since[name], *waiting[name]) for name in names]


def note_unserved(redis: Redis, now: Now | None = None) -> list[UnservedAccount]:
    """Find the accounts with orders that no live worker serves; return those newly found.

    They leave the order in which accounts are looked at, and come back with a worker that serves
    them (`Serving.announce`). Several workers may look at a time: each account is new to one.
    """
    find = redis.register_script(clock.script("note_unserved.lua"))
    names = [keys.WORK, keys.HELD_ACCOUNTS, keys.SERVED, keys.UNSERVED, keys.WORK_ARRIVED]
    facts: list[Fact] = [keys.PREFIX, ",".join(Lane), clock.argument(now)]
    new = {name.decode() for name in cast(list[bytes], find(names, facts))}
    return [account for account in unserved(redis) if account.name in new] if new else []


def working_accounts(redis: Redis) -> set[str]:
    """Name the accounts that may have queued orders: all others have none."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.smembers(keys.WORK_ARRIVED)
    pipeline.zrange(keys.WORK, 0, -1)
    pipeline.zrange(keys.UNSERVED, 0, -1)
    answers = cast(list[Iterable[bytes]], pipeline.execute())
    return {name.decode() for names in answers for name in names}


def _waiting(redis: Redis, names: list[str]) -> dict[str, tuple[int, int]]:
    pipeline = redis.pipeline(transaction=False)
    for name in names:
        for lane in Lane:
            pipeline.zcard(keys.ready(name, lane))
        pipeline.zcard(keys.held(name))
    counts = iter(cast(list[int], pipeline.execute()))
    return {name: (sum(islice(counts, len(Lane))), next(counts)) for name in names}


def _digest(shares: Mapping[str, str]) -> str:
    text = "\n".join(f"{name} {share}" for name, share in sorted(shares.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
