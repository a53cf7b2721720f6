"""The orders of a full Redis, by number: the dead ones first, then those that are settled. Pure.

The same numbers are always the same orders. A few accounts have most of them. Each
lives as one of a few examples did.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from pushes import life
from pushes.model import TRUSTED, Change, Entry, OrderSnapshot, Push, PushKey, Reason
from pushes.origin import Origin

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

    def change(self, number: int) -> Change:
        """Return the step from an order that was queued to its end, its calls included."""
        death = number % len(_EACH_DEATH) if number < self.dead else None
        queued, ended, entries = _example(death)
        at, key = self._at(number), self.key(number)
        order = snapshot(number) if ended.verified_at else ended.order
        named = tuple(
            replace(entry, at=at, correlation_id=entry.call and correlation_id(number, place))
            for place, entry in enumerate(entries)
        )
        last = [entry.correlation_id for entry in named if entry.call][-1]
        after = _at(ended, at, key=key, order=order, correlation_id=last)
        return Change(_at(queued, at, key=key), after, named)

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


# When the examples ended whose lives all orders have.
_EXAMPLE_AT = datetime(2026, 1, 1, tzinfo=UTC)
_TIMES = (
    *("first_push_at", "last_push_at", "changed_at"),
    *("verified_at", "acknowledged_at", "idempotent_since"),
)


@cache
def _example(death: int | None) -> tuple[Push, Push, tuple[Entry, ...]]:
    """Let an order live until it is settled, or dies so: queued, ended, and its timeline."""
    at, key = _EXAMPLE_AT, PushKey("example", "00000000-1111-6222-a333-444455556666")
    pushed = life.first_pushed(key, at - timedelta(seconds=2), _PUSHED)
    began = life.started(pushed.after, "bench", "an-attempt", at - timedelta(seconds=1))
    if began is None:  # which a queued one always is
        raise ValueError(death)
    if death is None:
        both = (_call("get_order", 200), _call("acknowledge", 204))
        ended = life.reported(life.acknowledged(began.after, at), both, OrderSnapshot(), at)
    else:
        reason, status, code = _EACH_DEATH[death]
        call = (_call("get_order", status, code),)
        shown = None if reason is Reason.NO_SUCH_ORDER else OrderSnapshot()
        said = f"HTTP {status} {code or ''}".strip() if status else "connection reset"
        ended = life.reported(life.dead(began.after, reason, at, said), call, shown, at)
    return pushed.after, ended.after, (*pushed.entries, *ended.entries)


def _call(call: str, status: int | None, code: str | None = None) -> Entry:
    return Entry(_EXAMPLE_AT, "call", call, status, 120, code)


def _at(push: Push, at: datetime, **facts: Any) -> Push:  # noqa: ANN401 - a record's fields
    """Let the life of an example end at another time, and be that of another order."""
    later = at - _EXAMPLE_AT
    times = {name: time + later for name in _TIMES if (time := getattr(push, name))}
    return replace(push, **times, **facts)
