"""What is running out of time: the orders not acknowledged yet, by the hours left to them.

Reads an index by deadline, so that nobody scans all records: numbers are always exact, amounts
are of those orders that Klarna has shown us. Changes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from redis import Redis

from pushes.store import codec, keys

# Half of Klarna's 48 hours, a quarter, and the time between its last two pushes.
HOURS = (24, 12, 4)

# The group of those whose deadline has passed.
OVERDUE = 0

# Amounts stand in the records: so many are read at most, a second's work at worst.
AMOUNTS_READ = 20_000

# One round trip reads this many, so that Redis answers others in between.
_CHUNK = 1000

# A member of the index with its deadline, epoch seconds.
_Place = tuple[bytes, float]


@dataclass(frozen=True, slots=True)
class RiskGroup:
    """The orders with less than `under_h` hours left, or `OVERDUE`; the others leave those out.

    `amounts` are sums in minor units by currency. `partial`: there are more orders than were
    read for them. `amount_unknown` counts those read that Klarna has not shown us.
    """

    under_h: int
    orders: int
    amounts: Mapping[str, int]
    amount_unknown: int
    partial: bool


def read(redis: Redis, now: datetime, *, with_amounts: bool = True) -> list[RiskGroup]:
    """Count them, with their amounts; with too many to read, those with time left come first.

    Reads in no transaction: a full Redis refuses those.
    """
    at_most = AMOUNTS_READ if with_amounts else 0
    pipeline = redis.pipeline(transaction=False)
    for under_h in HOURS:
        pipeline.zcount(keys.UNACKNOWLEDGED, *_bounds(under_h, now))
    pipeline.zcount(keys.UNACKNOWLEDGED, "-inf", codec.epoch(now))
    low, high = _bounds(HOURS[0], now)
    past = codec.epoch(now), "-inf"
    pipeline.zrangebyscore(keys.UNACKNOWLEDGED, low, high, 0, at_most, withscores=True)
    pipeline.zrevrangebyscore(keys.UNACKNOWLEDGED, *past, 0, at_most, withscores=True)
    *numbers, soonest, overdue = pipeline.execute()
    overdue = cast(list[_Place], overdue)[: at_most - len(soonest)]
    amounts = _amounts(redis, [*soonest, *overdue])
    groups = []
    for under_h, orders in zip((*HOURS, OVERDUE), numbers, strict=True):
        until = (now + timedelta(hours=under_h)).timestamp()
        members = [member for member, at in soonest if at < until] if under_h else _names(overdue)
        groups.append(_group(under_h, orders, [amounts[member] for member in members]))
    return groups


def _bounds(under_h: int, now: datetime) -> tuple[str, str]:
    return f"({codec.epoch(now)}", f"({codec.epoch(now + timedelta(hours=under_h))}"


def _group(under_h: int, orders: int, amounts: list[codec.Amount | None]) -> RiskGroup:
    sums: dict[str, int] = {}
    for amount in amounts:
        if amount is not None:
            sums[amount.currency] = sums.get(amount.currency, 0) + amount.minor_units
    return RiskGroup(under_h, orders, sums, amounts.count(None), partial=orders > len(amounts))


def _amounts(redis: Redis, places: list[_Place]) -> dict[bytes, codec.Amount | None]:
    names = _names(places)
    found: dict[bytes, codec.Amount | None] = dict.fromkeys(names)
    wanted = [(name, key) for name in names if (key := keys.find_key(name))]
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        pipeline = redis.pipeline(transaction=False)
        for _, key in chunk:
            pipeline.hmget(keys.record(key), codec.AMOUNT_FIELDS)
        answers = pipeline.execute(raise_on_error=False)
        found |= zip((name for name, _ in chunk), map(codec.decode_amount, answers), strict=True)
    return found


def _names(places: Iterable[_Place]) -> list[bytes]:
    return [member for member, _deadline in places]
