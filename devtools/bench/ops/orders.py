"""The orders of a full Redis, by number: the dead ones first, then those that are settled. Pure.

The same numbers are always the same orders. A few accounts have most of them, as in life.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pushes import life
from pushes.life import Origin
from pushes.model import TRUSTED, Change, Entry, OrderSnapshot, Push, PushKey, Reason

_PUSHED = Origin(source=TRUSTED)

# How the dead died: why, the status and the error code of the last call, how often of twenty.
_DEATHS = (
    (Reason.NO_SUCH_ORDER, 404, "NO_SUCH_ORDER", 8),
    (Reason.REJECTED, 400, "BAD_VALUE", 4),
    (Reason.NOT_ALLOWED, 403, "NOT_ALLOWED", 3),
    (Reason.RETRIES_EXHAUSTED, 503, None, 3),
    (Reason.RETRIES_EXHAUSTED, None, None, 1),
    (Reason.ORDER_MISMATCH, 200, None, 1),
)
_EACH_DEATH = [(reason, status, code) for reason, status, code, n in _DEATHS for _ in range(n)]

# Settled and dead orders of so long ago are there, which is RETENTION_DAYS.
SPAN = timedelta(days=30)

# Of the golden ratio: spreads numbers evenly over 32 bits.
_SPREAD = 2_654_435_769


@dataclass(frozen=True, slots=True)
class FullRedis:
    """How full: so many dead letters, settled orders and accounts; `until` is the latest of all."""

    dead: int
    settled: int
    accounts: int
    until: datetime

    @classmethod
    def at_scale(cls, scale: float, until: datetime) -> "FullRedis":
        """Return the whole, 200,000 and 1,000,000 of 1,000 accounts, or a part of it."""
        dead, settled, accounts = (max(least, round(scale * most)) for least, most in _WHOLE)
        return cls(dead, settled, accounts, until)

    @property
    def names(self) -> list[str]:
        """Name the accounts, that with the most orders first."""
        return [f"shop-{number}" for number in range(self.accounts)]

    def key(self, number: int) -> PushKey:
        """Name an order."""
        share = number * _SPREAD % 2**32 / 2**32
        account = f"shop-{int(self.accounts * share**3)}"
        return PushKey(account, f"{number:08x}-1111-6222-a333-444455556666")

    def change(self, number: int) -> tuple[Push, Change]:
        """Return an order as it was queued, and the step that ended it, its calls included."""
        at = self._at(number)
        pushed = life.first_pushed(self.key(number), at - timedelta(seconds=2), _PUSHED)
        began = life.started(pushed.after, "bench", "an-attempt", at - timedelta(seconds=1))
        if began is None:  # which a queued one always is
            raise ValueError(number)
        if number >= self.dead:
            calls = _calls(number, at, ("get_order", 200, None), ("acknowledge", 204, None))
            seen: OrderSnapshot | None = snapshot(number)
            ended = life.reported(life.acknowledged(began.after, at), calls, seen, at)
        else:
            reason, status, code = _EACH_DEATH[number % len(_EACH_DEATH)]
            calls = _calls(number, at, ("get_order", status, code))
            seen = None if reason is Reason.NO_SUCH_ORDER else snapshot(number)
            said = f"HTTP {status} {code or ''}".strip() if status else "connection reset"
            ended = life.reported(life.dead(began.after, reason, at, said), calls, seen, at)
        return pushed.after, replace(ended, entries=(*pushed.entries, *ended.entries))

    def _at(self, number: int) -> datetime:
        """Say when an order was settled or died: evenly over the time, the last one just now."""
        if number < self.dead:
            share = (number + 1) / self.dead
        else:
            share = (number - self.dead + 1) / self.settled
        return self.until - SPAN * (1 - share)


_WHOLE = ((20, 200_000), (100, 1_000_000), (3, 1000))


def snapshot(number: int) -> OrderSnapshot:
    """Return what Klarna shows of an order."""
    return OrderSnapshot(
        status="AUTHORIZED",
        fraud_status="ACCEPTED",
        order_amount=19_900,
        captured_amount=0,
        refunded_amount=0,
        remaining_authorized_amount=19_900,
        purchase_currency="SEK",
        klarna_reference=klarna_reference(number),
        merchant_reference1=merchant_reference(number),
        merchant_reference2=f"web-{number}",
    )


def klarna_reference(number: int) -> str:
    """Return Klarna's reference of an order."""
    return f"K{number:07X}"


def merchant_reference(number: int) -> str:
    """Return the merchant's reference of an order."""
    return f"{1_000_000 + number}"


def correlation_id(number: int, call: int) -> str:
    """Return Klarna's name for a call of an order, the first being 0."""
    return f"{number:08x}-2b7d-4e58-9a01-{call:012x}"


def _calls(
    number: int, at: datetime, *calls: tuple[str, int | None, str | None]
) -> tuple[Entry, ...]:
    return tuple(_entries(number, at, calls))


def _entries(
    number: int, at: datetime, calls: tuple[tuple[str, int | None, str | None], ...]
) -> Iterator[Entry]:
    for place, (call, status, code) in enumerate(calls):
        yield Entry(at, "call", call, status, 120, code, correlation_id(number, place))
