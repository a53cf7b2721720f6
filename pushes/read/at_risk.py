"""What is running out of time: the orders not acknowledged yet, by the hours left to them.

Reads an index by deadline, so that nobody scans all records: numbers are always exact, amounts
are of those orders that Klarna has shown us. Changes nothing.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter
from typing import cast

from redis import Redis

from pushes.store import codec, keys
from pushes.store.connection import read_script

# Half of Klarna's 48 hours, a quarter, and the time between its last two pushes.
HOURS = (24, 12, 4)

# The group of those whose deadline has passed.
OVERDUE = 0

# Amounts stand in the records: so many are read at most, some hundredths of a second of Redis.
AMOUNTS_READ = 20_000

# One round trip reads this many, so that Redis answers others in between.
_CHUNK = 1000

_SUM_AMOUNTS = read_script("pushes.read", "sum_amounts.lua")

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
    groups, worth, left = [], _Worth(), cast(list[_Place], soonest)
    for under_h, orders in zip(reversed(HOURS), reversed(numbers[:-1]), strict=True):
        until = (now + timedelta(hours=under_h)).timestamp()
        cut = bisect_left(left, until, key=itemgetter(1))
        worth, left = worth.add(_worth(redis, left[:cut])), left[cut:]
        groups.append(_group(under_h, orders, worth))
    return [*reversed(groups), _group(OVERDUE, numbers[-1], _worth(redis, overdue))]


@dataclass(frozen=True, slots=True)
class _Worth:
    """What some orders are worth: sums by currency, and how many there are with and without."""

    amounts: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    orders: int = 0

    def add(self, other: "_Worth") -> "_Worth":
        amounts = Counter(self.amounts)
        amounts.update(other.amounts)
        return _Worth(amounts, self.unknown + other.unknown, self.orders + other.orders)


def _bounds(under_h: int, now: datetime) -> tuple[str, str]:
    return f"({codec.epoch(now)}", f"({codec.epoch(now + timedelta(hours=under_h))}"


def _group(under_h: int, orders: int, worth: _Worth) -> RiskGroup:
    partial = orders > worth.orders
    return RiskGroup(under_h, orders, dict(worth.amounts), worth.unknown, partial=partial)


def _worth(redis: Redis, places: Sequence[_Place]) -> _Worth:
    """Sum up, in Redis, what orders are worth; what names no order has no amount."""
    found = [key for member, _ in places if (key := keys.find_key(member))]
    worth = _Worth(unknown=len(places) - len(found), orders=len(places))
    sum_amounts = redis.register_script(_SUM_AMOUNTS)
    for start in range(0, len(found), _CHUNK):
        records = [keys.record(key) for key in found[start : start + _CHUNK]]
        unknown, *pairs = sum_amounts(keys=records, args=codec.AMOUNT_FIELDS)
        sums = zip(pairs[::2], pairs[1::2], strict=True)
        amounts = Counter({name.decode(errors="replace"): int(sum_) for name, sum_ in sums})
        worth = worth.add(_Worth(amounts, unknown))
    return worth
