"""Holding an account: none of its orders is attempted, each waits and spends nothing.

The trouble is Klarna's (an outage), ours (credentials), that of the merchant's own system, or an
operator wants a pause. The hold is
one hash in Redis that all workers see. Whoever makes it is told so, and says so, once. What ends
it: a probe that passes, for the first two; an operator, for any.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from redis import Redis

from pushes import policy
from pushes.accounts import clock
from pushes.accounts.clock import Fact, Now
from pushes.accounts.pauses import Pause, Pauses
from pushes.model import PUSH_WINDOW, HoldReason
from pushes.store import codec, keys


@dataclass(frozen=True, slots=True)
class Probing:
    """How often a held account is tried: the pause doubles with every try, up to the longest."""

    first: timedelta
    longest: timedelta


# An outage may be over in seconds; a credential is put right by a person. An operator's hold is
# never tried. Seldom enough for Klarna, soon enough for the orders.
PROBING = {
    HoldReason.OUTAGE: Probing(timedelta(seconds=5), timedelta(seconds=60)),
    HoldReason.MERCHANT: Probing(timedelta(seconds=5), timedelta(seconds=60)),
    HoldReason.CREDENTIALS: Probing(timedelta(seconds=60), timedelta(seconds=60)),
}


@dataclass(frozen=True, slots=True)
class AccountHold:
    """Why an account is held, since when, and when it is tried next (None: not by itself)."""

    reason: HoldReason
    cause: str
    since: datetime
    by: str | None = None
    probes: int = 0
    probe_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account is: what holds or pauses it, how many orders in a row Klarna did not know.

    `unserved_since` is since when orders of it wait that no worker has the credentials for.
    """

    hold: AccountHold | None = None
    unknown_in_a_row: int = 0
    pause: Pause | None = None
    unserved_since: datetime | None = None

    @property
    def is_suspicious(self) -> bool:
        """Whether it is probably the wrong region or account."""
        return self.unknown_in_a_row >= policy.SUSPICIOUS_UNKNOWN


@dataclass(frozen=True, slots=True)
class Resumed:
    """What an operator ended: a hold, a pause that Klarna asked for, both or neither."""

    hold: AccountHold | None
    pause: Pause | None


@dataclass(frozen=True, slots=True)
class ResumedBy:
    """The operator who resumed an account last, and why; None for one that resumed by itself."""

    by: str | None = None
    why: str | None = None


# How long a count of failures in a row is kept: while Klarna pushes an order.
_FAILING_TTL_S = int(PUSH_WINDOW.total_seconds())

# How long it is remembered who resumed an account: until what waited has surely been queued again.
_RESUMED_TTL_S = _FAILING_TTL_S

# How long the steps in which work is resumed are remembered; they last less than a minute.
_STEPS_TTL_S = 60


class Holds:
    """The holds of all accounts. Threads share it. Every method raises RedisError.

    All times are Redis's, unless `now` stands in for them.
    """

    def __init__(self, redis: Redis, now: Now | None = None) -> None:
        self._redis = redis
        self._now = now
        self._pauses = Pauses(redis, now)
        self._begin = redis.register_script(clock.script("begin_hold.lua"))
        self._end = redis.register_script(clock.script("end_hold.lua"))

    def get(self, account: str) -> AccountHold | None:
        """Read why an account is held; None while it is not."""
        return decode(cast(dict[bytes, bytes], self._redis.hgetall(keys.hold(account))))

    def begin(self, account: str, reason: HoldReason, cause: str, by: str | None = None) -> bool:
        """Hold an account; False when it is held already, for a reason that counts as much."""
        probing = PROBING.get(reason)
        facts: list[Fact] = [account, reason, cause, by or ""]
        if probing:
            facts += [probing.first.total_seconds(), probing.longest.total_seconds()]
        else:
            facts += ["", ""]
        names = [*_keys(account, reason)[:4], keys.TOTALS]
        return bool(self._begin(names, [*facts, clock.argument(self._now)]))

    def end(self, account: str, reason: HoldReason | None = None) -> AccountHold | None:
        """Serve an account again, since a probe passed; returns what held it.

        None when nothing did, or an operator: his word is ended by an operator only. `reason` is
        what is known to be over: the merchant's trouble, or else all but that.
        """
        over = [reason] if reason else [HoldReason.OUTAGE, HoldReason.CREDENTIALS]
        return self._serve_again(account, over, 0, "", "").hold

    def resume(self, account: str, *, by: str, why: str | None) -> Resumed:
        """Serve an account again at an operator's word, whatever holds or pauses it.

        `by` and `why` are remembered for the timelines of the orders that waited.
        """
        return self._serve_again(account, list(HoldReason), 1, by, why or "")

    def _serve_again(
        self, account: str, reasons: list[HoldReason], ends_pause: int, by: str, why: str
    ) -> Resumed:
        facts: list[Fact] = [account, ",".join(reasons), ends_pause, _STEPS_TTL_S]
        facts += [by, why, _RESUMED_TTL_S, clock.argument(self._now)]
        of_merchant = reasons == [HoldReason.MERCHANT]
        names = _keys(account, HoldReason.MERCHANT if of_merchant else None)
        raw = self._end([*names, keys.resumed(account)], facts)
        held, pause = cast(tuple[list[bytes], list[bytes]], raw)
        hold = decode(dict(zip(held[::2], held[1::2], strict=True)))
        if not pause:
            return Resumed(hold, None)
        until, cause = (word.decode() for word in pause)
        return Resumed(hold, Pause(account, codec.moment(until), cause))

    def resumed_by(self, account: str) -> ResumedBy:
        """Read who resumed an account last."""
        raw = cast(list[bytes | None], self._redis.hmget(keys.resumed(account), ["by", "why"]))
        by, why = (word.decode(errors="replace") if word else None for word in raw)
        return ResumedBy(by, why)

    def failed(self, account: str, job_id: str, after: int, *, of_merchant: bool = False) -> bool:
        """Count a failure that is not the order's own; say whether they amount to an outage.

        Those of the merchant's own system are counted apart.
        """
        name = keys.merchant_failing(account) if of_merchant else keys.failing(account)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hincrby(name, job_id, 1)
        pipeline.expire(name, _FAILING_TTL_S)
        pipeline.hvals(name)
        counts = cast(list[bytes], pipeline.execute()[-1])
        return policy.is_outage([int(count) for count in counts], after)

    def unknown(self, account: str) -> int:
        """Count an order that Klarna did not know when first asked; return how many in a row."""
        name = keys.unknown_in_a_row(account)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.incr(name)
        pipeline.expire(name, _FAILING_TTL_S)
        return int(pipeline.execute()[0])

    def standing(self, account: str) -> Standing:
        """Read how an account is."""
        count = cast(bytes | None, self._redis.get(keys.unknown_in_a_row(account)))
        paused = self._pauses.active().get(account)
        return Standing(self.get(account), decode_count(count), paused)


def _keys(account: str, reason: HoldReason | None) -> list[str]:
    of_merchant = reason is HoldReason.MERCHANT
    failing = keys.merchant_failing(account) if of_merchant else keys.failing(account)
    hold = [keys.hold(account), failing, keys.HOLDS, keys.WORK_ARRIVED]
    return [*hold, keys.quota(account), keys.PAUSES]


def decode(fields: Mapping[bytes, bytes]) -> AccountHold | None:
    """Read the hash of a hold; None when there is none. Raises ValueError when it is no hold."""
    raw = {name.decode(): value.decode() for name, value in fields.items()}
    if "reason" not in raw:
        return None
    return AccountHold(
        HoldReason(raw["reason"]),
        raw.get("cause", ""),
        codec.moment(raw["since"]),
        raw.get("by"),
        codec.number(raw.get("probes", 0)),
        codec.moment(raw["probe_at"]) if "probe_at" in raw else None,
    )


def decode_count(raw: bytes | None) -> int:
    """Read how many orders in a row were unknown. Raises ValueError when it is no count."""
    return codec.number(raw or 0)
