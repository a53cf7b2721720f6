"""How a push and its timeline are written in Redis: short strings, nothing that is empty.

Values under 64 bytes keep a hash packed. Times are epoch seconds with milliseconds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from pushes.model import Entry, HoldReason, Lane, OrderSnapshot, Push, PushKey, Reason, State

_NUMBERS = ("rev", "pushes", "attempts", "failures", "not_found", "limited", "crashes")
_TIMES = (
    "first_push_at",
    "last_push_at",
    "changed_at",
    "next_attempt_at",
    "verified_at",
    "acknowledged_at",
    "idempotent_since",
)
_TEXTS = ("worker", "execution_id", "last_error", "source")
_FLAGS = ("after_failure", "discarded")
_ORDER_FIELDS = tuple(field.name for field in fields(OrderSnapshot))
_ORDER_NUMBERS = {name for name in _ORDER_FIELDS if name.endswith("_amount")}
_ORDER = "order."

# What Redis counts in. A longer number is a mistake, and as text it may have thousands of digits.
_LARGEST = 2**63 - 1

# Made once: `json.dumps` would make an encoder for each commit.
to_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def encode(push: Push) -> dict[str, str]:
    """Write a record as the fields of its hash."""
    raw = {"state": str(push.state)}
    raw |= {name: str(value) for name in _NUMBERS if (value := getattr(push, name))}
    raw |= {name: epoch(value) for name in _TIMES if (value := getattr(push, name))}
    raw |= {name: value for name in _TEXTS if (value := getattr(push, name))}
    if push.reason:
        raw["reason"] = str(push.reason)
    if push.lane is not Lane.FRESH:
        raw["lane"] = str(push.lane)
    raw |= {name: "1" for name in _FLAGS if getattr(push, name)}
    for name in _ORDER_FIELDS:
        value = getattr(push.order, name)
        if value is not None:
            raw[_ORDER + name] = epoch(value) if isinstance(value, datetime) else str(value)
    return raw


def decode(key: PushKey, raw: Mapping[str, str]) -> Push:
    """Read a record back. Raises ValueError or KeyError when it is not one."""
    known: dict[str, Any] = {name: raw[name] for name in _TEXTS if name in raw}
    known |= {name: moment(raw[name]) for name in _TIMES if name in raw}
    known |= {name: int(raw[name]) for name in _NUMBERS if name in raw}
    known["state"] = state = State.of(raw["state"])
    if "lane" in raw:
        known["lane"] = Lane(raw["lane"])
    if "reason" in raw:
        known["reason"] = _reason(state, raw["reason"])
    known |= {name: True for name in _FLAGS if name in raw}
    return Push(key=key, order=_decode_order(raw), **known)


def _reason(state: State, word: str) -> Reason | HoldReason:
    return Reason.of(word) if state is State.DEAD else HoldReason(word)


def _decode_order(raw: Mapping[str, str]) -> OrderSnapshot:
    known: dict[str, Any] = {}
    for name, text in raw.items():
        if not name.startswith(_ORDER):
            continue
        field = name.removeprefix(_ORDER)
        if field in _ORDER_NUMBERS:
            known[field] = int(text)
        else:
            known[field] = moment(text) if field == "expires_at" else text
    return OrderSnapshot(**known)


@dataclass(frozen=True, slots=True)
class Amount:
    """What an order is about, in minor units."""

    minor_units: int
    currency: str


# The fields of a record that `decode_amount` reads.
AMOUNT_FIELDS = (f"{_ORDER}order_amount", f"{_ORDER}purchase_currency")


def decode_amount(values: Sequence[bytes | None] | Exception) -> Amount | None:
    """Read the values of `AMOUNT_FIELDS`. None when Klarna showed no amount, or they are none."""
    if isinstance(values, Exception):
        return None
    minor_units, currency = values
    if minor_units is None or currency is None:
        return None
    try:
        return Amount(number(minor_units), currency.decode())
    except ValueError:
        return None


def encode_entry(entry: Entry) -> str:
    """Write one line of a timeline as JSON, without what is empty."""
    facts = {
        "at": round(entry.at.timestamp(), 3),
        "event": entry.event,
        "call": entry.call,
        "status": entry.http_status,
        "ms": entry.elapsed_ms,
        "error_code": entry.error_code,
        "correlation_id": entry.correlation_id,
        "detail": entry.detail,
        "by": entry.by,
    }
    return to_json({name: fact for name, fact in facts.items() if fact is not None})


def decode_entry(text: str) -> Entry:
    """Read one line of a timeline back."""
    facts = json.loads(text)
    return Entry(
        at=datetime.fromtimestamp(facts["at"], UTC),
        event=facts["event"],
        call=facts.get("call"),
        http_status=facts.get("status"),
        elapsed_ms=facts.get("ms"),
        error_code=facts.get("error_code"),
        correlation_id=facts.get("correlation_id"),
        detail=facts.get("detail"),
        by=facts.get("by"),
    )


def epoch(at: datetime) -> str:
    """Write a time as epoch seconds with milliseconds."""
    return f"{at.timestamp():.3f}"


def moment(text: str) -> datetime:
    """Read a time written by `epoch`. Raises ValueError when it is none."""
    return datetime.fromtimestamp(float(text), UTC)


def number(text: str | bytes | int) -> int:
    """Read a whole number. Raises ValueError when it is none, or none that Redis could count to."""
    value = int(text)
    if abs(value) > _LARGEST:
        raise ValueError("the number has more than 63 bits")
    return value
