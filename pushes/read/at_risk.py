"""What is running out of time: the orders not acknowledged yet, by the hours left to them.

Reads an index by deadline, so that nobody scans all records: numbers are always exact, amounts
are of those orders that Klarna has shown us. Changes nothing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from redis import Redis

from pushes.store import codec, keys
from pushes.store.connection import read_script

# Half of Klarna's 48 hours, a quarter, and the time between its last two pushes.
HOURS = (24, 12, 4)

# The group of those whose deadline has passed.
OVERDUE = 0

# Amounts stand in the records: so many are read at most, some hundredths of a second of Redis.
AMOUNTS_READ = 20_000

# Of those past their deadline nothing can run out any more, and they may be very many.
_OVERDUE_READ = 1000

# One round trip reads this many, a millisecond of Redis, so that it answers others in between.
_CHUNK = 250

_SUM_AMOUNTS = read_script("pushes.read", "sum_amounts.lua")

# What the names of records begin with; the rest is the member of the index.
_RECORD = f"{keys.PREFIX}:push:"

# Scores from and to, as ZRANGEBYSCORE takes them.
_Bounds = tuple[str, str]


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
    spans = list(_spans(now))
    pipeline = redis.pipeline(transaction=False)
    for _, bounds in spans:
        pipeline.zcount(keys.UNACKNOWLEDGED, *bounds)
    left = AMOUNTS_READ if with_amounts else 0
    groups: list[RiskGroup] = []
    orders, worth = 0, _Worth()
    for (under_h, bounds), count in zip(spans, pipeline.execute(), strict=True):
        if under_h == OVERDUE:
            within = _worth(redis, bounds, min(count, left, _OVERDUE_READ))
            groups.insert(0, _group(OVERDUE, count, within))
        else:
            within = _worth(redis, bounds, min(count, left))
            left -= within.orders
            orders, worth = orders + count, worth.add(within)
            groups.append(_group(under_h, orders, worth))
    return groups[::-1]


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


def _spans(now: datetime) -> Iterator[tuple[int, _Bounds]]:
    """Name the spans of deadlines that no two groups share, those with the least time left first.

    What is past comes last.
    """
    low = f"({codec.epoch(now)}"
    for under_h in reversed(HOURS):
        end = codec.epoch(now + timedelta(hours=under_h))
        yield under_h, (low, f"({end}")
        low = end
    yield OVERDUE, ("-inf", codec.epoch(now))


def _group(under_h: int, orders: int, worth: _Worth) -> RiskGroup:
    partial = orders > worth.orders
    return RiskGroup(under_h, orders, dict(worth.amounts), worth.unknown, partial=partial)


def _worth(redis: Redis, bounds: _Bounds, at_most: int) -> _Worth:
    """Sum up, in Redis, what the first orders within some bounds are worth."""
    sum_amounts = redis.register_script(_SUM_AMOUNTS)
    worth = _Worth()
    while worth.orders < at_most:
        part = (worth.orders, min(_CHUNK, at_most - worth.orders))
        arguments = (*bounds, *part, _RECORD, *codec.AMOUNT_FIELDS)
        orders, unknown, *pairs = sum_amounts(keys=[keys.UNACKNOWLEDGED], args=arguments)
        if not orders:  # some have left meanwhile
            break
        sums = zip(pairs[::2], pairs[1::2], strict=True)
        amounts = Counter({name.decode(errors="replace"): int(value) for name, value in sums})
        worth = worth.add(_Worth(amounts, unknown, orders))
    return worth
