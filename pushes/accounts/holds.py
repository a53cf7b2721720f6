"""Holding an account: none of its orders is attempted, each waits and spends nothing.

The trouble is Klarna's (an outage), ours (credentials), or an operator wants a pause. The hold is
one hash in Redis that all workers see. Whoever makes it is told so, and says so, once. What ends
it: a probe that passes, for the first two; an operator, for any.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from redis import Redis

from pushes import policy
from pushes.model import PUSH_WINDOW, HoldReason
from pushes.store import codec, keys
from pushes.store.connection import read_script


@dataclass(frozen=True, slots=True)
class Probing:
    """How often a held account is tried: the pause doubles with every try, up to the longest."""

    first: timedelta
    longest: timedelta


# An outage may be over in seconds; a credential is put right by a person. An operator's hold is
# never tried. Seldom enough for Klarna, soon enough for the orders.
PROBING = {
    HoldReason.OUTAGE: Probing(timedelta(seconds=5), timedelta(seconds=60)),
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
    """How an account is: what holds it, and how many orders in a row Klarna did not know."""

    hold: AccountHold | None = None
    unknown_in_a_row: int = 0

    @property
    def is_suspicious(self) -> bool:
        """Whether it is probably the wrong region or account."""
        return self.unknown_in_a_row >= policy.SUSPICIOUS_UNKNOWN


# How long a count of failures in a row is kept: while Klarna pushes an order.
_FAILING_TTL_S = int(PUSH_WINDOW.total_seconds())

# How long the steps in which work is resumed are remembered; they last less than a minute.
_STEPS_TTL_S = 60


class Holds:
    """The holds of all accounts. Threads share it. Every method raises RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._begin = redis.register_script(read_script("pushes.accounts", "begin_hold.lua"))
        self._end = redis.register_script(read_script("pushes.accounts", "end_hold.lua"))

    def get(self, account: str) -> AccountHold | None:
        """Read why an account is held; None while it is not."""
        raw = cast(dict[bytes, bytes], self._redis.hgetall(keys.hold(account)))
        return _decode({name.decode(): value.decode() for name, value in raw.items()})

    def begin(
        self, account: str, reason: HoldReason, cause: str, now: datetime, by: str | None = None
    ) -> bool:
        """Hold an account; False when it is held already, for a reason that counts as much."""
        facts: list[str] = ["reason", reason, "cause", cause, "since", codec.epoch(now)]
        if by:
            facts += ["by", by]
        if probing := PROBING.get(reason):
            first_s, longest_s = (span.total_seconds() for span in (probing.first, probing.longest))
            facts += ["probe_first_s", str(first_s), "probe_longest_s", str(longest_s)]
            facts += ["probe_at", codec.epoch(now + probing.first), "probes", "0"]
        return bool(self._begin(_keys(account), [reason, codec.to_json(facts)]))

    def end(self, account: str, now: datetime, *, by_operator: bool = False) -> AccountHold | None:
        """Serve an account again; returns what held it, None when nothing did.

        A probe that passed does not end an operator's hold.
        """
        may_end = [reason for reason in HoldReason if by_operator or reason in PROBING]
        raw = cast(
            list[bytes] | None,
            self._end(_keys(account), [",".join(may_end), codec.epoch(now), _STEPS_TTL_S]),
        )
        words = [word.decode() for word in raw or []]
        return _decode(dict(zip(words[::2], words[1::2], strict=True)))

    def failed(self, account: str, job_id: str, after: int) -> bool:
        """Count a failure that is not the order's own; say whether they amount to an outage."""
        name = keys.failing(account)
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
        return Standing(self.get(account), int(count or 0))


def _keys(account: str) -> list[str]:
    return [keys.hold(account), keys.failing(account), keys.quota(account)]


def _decode(raw: dict[str, str]) -> AccountHold | None:
    if "reason" not in raw:
        return None
    return AccountHold(
        HoldReason(raw["reason"]),
        raw.get("cause", ""),
        codec.moment(raw["since"]),
        raw.get("by"),
        int(raw.get("probes", 0)),
        codec.moment(raw["probe_at"]) if "probe_at" in raw else None,
    )
