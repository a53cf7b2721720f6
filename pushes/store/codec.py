"""How a push and its timeline are written in Redis: short strings, nothing that is empty.

Values under 64 bytes keep a hash packed. Times are epoch seconds with milliseconds, cut off. The
records of settled pushes are nearly all there are, so they are written shorter still: `_shorten`.
Whatever is written can be read back: what Redis or Python could not take again is left out.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

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
_TEXTS = (
    *("worker", "execution_id", "last_error", "error_code", "source", "correlation_id"),
    *("fraud_event", "fraud_seen", "run", "trace", "reference1", "reference2"),
    "push_target",
)
# Times of steps that few orders go through: never written together with the others.
_STEP_TIMES = ("handed_over_at", "references_set_at", "notified_at", "decision_handed_over_at")
_FLAGS = ("after_failure", "discarded", "only_notified")
_ORDER_FIELDS = tuple(field.name for field in fields(OrderSnapshot))
_ORDER_NUMBERS = {name for name in _ORDER_FIELDS if name.endswith("_amount")}
_ORDER = "order."

# How the fields of a settled record are named.
_SHORT = {
    "source": "x",
    "correlation_id": "c",
    "run": "r",
    "order.status": "s",
    "order.fraud_status": "f",
    "order.purchase_currency": "u",
    "order.klarna_reference": "k",
    "order.merchant_reference1": "1",
    "order.merchant_reference2": "2",
}
_LONG = {short: name for name, short in _SHORT.items()}

# And which are written together: numbers in `n`, times in `t`, what else counts something in `a`.
_SHORT_NUMBERS = _NUMBERS[1:]  # the revision stays as it is: the commit looks at it
_SHORT_AMOUNTS = tuple(sorted(f"{_ORDER}{name}" for name in _ORDER_NUMBERS))
_EXPIRES = f"{_ORDER}expires_at"

# What Redis counts in. A longer number is a mistake, and as text it may have thousands of digits.
_LARGEST = 2**63 - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_Fact = TypeVar("_Fact", str, int)

# Made once: `json.dumps` would make an encoder for each commit.
to_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def encode(push: Push) -> dict[str, str]:
    """Write a record as the fields of its hash."""
    raw = {"state": str(push.state)}
    raw |= {name: str(value) for name in _NUMBERS if (value := getattr(push, name))}
    times = (*_TIMES, *_STEP_TIMES)
    raw |= {name: epoch(value) for name in times if (value := getattr(push, name))}
    raw |= {name: _text(value) for name in _TEXTS if (value := getattr(push, name))}
    if push.reason:
        raw["reason"] = str(push.reason)
    if push.lane is not Lane.FRESH:
        raw["lane"] = str(push.lane)
    raw |= {name: "1" for name in _FLAGS if getattr(push, name)}
    for name in _ORDER_FIELDS:
        if (value := getattr(push.order, name)) is not None and (text := _order_text(value)):
            raw[_ORDER + name] = text
    return _shorten(raw) if push.state.is_settled else raw


def _shorten(raw: dict[str, str]) -> dict[str, str]:
    """Write the fields of a settled record in half the space.

    Times are milliseconds, the first of them since 1970, all others since the first.
    """
    left = dict(raw)
    numbers = [left.pop(name, "") for name in _SHORT_NUMBERS]
    amounts = [left.pop(name, "") for name in _SHORT_AMOUNTS]
    times = [left.pop(name, "") for name in (*_TIMES, _EXPIRES)]
    first_ms = _milliseconds(times[0])
    since = [str(_milliseconds(time) - first_ms) if time else "" for time in times[1:]]
    short = {_SHORT.get(name, name): value for name, value in left.items()}
    short["t"] = ",".join([str(first_ms), *since])
    short["n"] = ",".join(numbers)
    if any(amounts):
        short["a"] = ",".join(amounts)
    return short


def _lengthen(short: Mapping[str, str]) -> dict[str, str]:
    """Name the fields of a record as `encode` does before it shortens them. Raises ValueError."""
    if "t" not in short:
        return dict(short)
    left = dict(short)
    first, *since = left.pop("t").split(",")
    first_ms = int(first)
    times = [first_ms, *(int(one) + first_ms if one else None for one in since)]
    numbers = zip(_SHORT_NUMBERS, left.pop("n", "").split(","), strict=False)
    amounts = zip(_SHORT_AMOUNTS, left.pop("a", "").split(","), strict=False)
    raw = {_LONG.get(name, name): value for name, value in left.items()}
    raw |= {name: value for name, value in (*numbers, *amounts) if value}
    found = zip((*_TIMES, _EXPIRES), times, strict=True)
    return raw | {name: f"{at_ms / 1000:.3f}" for name, at_ms in found if at_ms is not None}


def _milliseconds(time: str) -> int:
    """Read what `epoch` wrote."""
    return int(time.replace(".", ""))


def _order_text(value: datetime | int | str) -> str | None:
    if isinstance(value, datetime):
        return epoch(value)
    if isinstance(value, int):
        return str(value) if abs(value) <= _LARGEST else None
    return _text(value)


def _text(value: str) -> str:
    """Replace what is no character: half of a surrogate pair, which Redis's JSON refuses."""
    return value if value.isascii() else value.encode(errors="replace").decode()


def decode(key: PushKey, raw: Mapping[str, str]) -> Push:
    """Read a record back. Raises ValueError, KeyError, TypeError or OverflowError when it is none.

    An empty field counts as none: a change writes it so before it takes the field out.
    """
    raw = _lengthen({name: text for name, text in raw.items() if text})
    known: dict[str, Any] = {name: raw[name] for name in _TEXTS if name in raw}
    known |= {name: moment(raw[name]) for name in (*_TIMES, *_STEP_TIMES) if name in raw}
    known |= {name: number(raw[name]) for name in _NUMBERS if name in raw}
    known["state"] = state = State.of(raw["state"])
    if "lane" in raw:
        known["lane"] = Lane(raw["lane"])
    if "reason" in raw:
        known["reason"] = _reason(state, raw["reason"])
    known |= {name: True for name in _FLAGS if name in raw}
    order = {name: _reader_of(name)(raw[_ORDER + name]) for name in _in_order(raw)}
    return Push(key=key, order=OrderSnapshot(**order), **known)


def salvage(key: PushKey, raw: Mapping[str, str]) -> Push:
    """Make out what can be of a record that `decode` refuses: dead, for an operator to decide.

    What tells when Klarna pushed the order, and what was done about it, is kept field by field.
    """
    with suppress(ValueError):
        raw = _lengthen(raw)
    count = {name: _try(number, raw.get(name)) or 0 for name in _NUMBERS}
    at = {name: _try(moment, raw.get(name)) for name in (*_TIMES, *_STEP_TIMES)}
    oldest = min((time for time in at.values() if time), default=_EPOCH)
    order = {name: _try(_reader_of(name), raw[_ORDER + name]) for name in _in_order(raw)}
    return Push(
        key,
        State.DEAD,
        rev=max(0, count["rev"]),
        first_push_at=at["first_push_at"] or oldest,
        last_push_at=at["last_push_at"] or oldest,
        changed_at=at["changed_at"] or oldest,
        reason=Reason.UNREADABLE,
        pushes=count["pushes"],
        attempts=count["attempts"],
        verified_at=at["verified_at"],
        acknowledged_at=at["acknowledged_at"],
        idempotent_since=at["idempotent_since"],
        discarded=bool(raw.get("discarded")),
        error_code=raw.get("error_code") or None,
        source=raw.get("source") or None,
        handed_over_at=at["handed_over_at"],
        reference1=raw.get("reference1") or None,
        reference2=raw.get("reference2") or None,
        references_set_at=at["references_set_at"],
        decision_handed_over_at=at["decision_handed_over_at"],
        order=OrderSnapshot(**order),
    )


def _try(read: Callable[[str], Any], text: str | None) -> Any:  # noqa: ANN401 - what `read` returns
    try:
        return read(text) if text else None
    except (ValueError, OverflowError):
        return None


def _reason(state: State, word: str) -> Reason | HoldReason:
    return Reason.of(word) if state is State.DEAD else HoldReason(word)


def _in_order(raw: Mapping[str, str]) -> Iterator[str]:
    """Name the facts of the order; a newer version may have written others."""
    return (name for name in _ORDER_FIELDS if _ORDER + name in raw)


def _reader_of(name: str) -> Callable[[str], Any]:
    if name in _ORDER_NUMBERS:
        return number
    return moment if name == "expires_at" else str


# What an order that is not settled is worth: these fields of its record, the first a number.
AMOUNT_FIELDS = (f"{_ORDER}order_amount", f"{_ORDER}purchase_currency")


def encode_entry(entry: Entry) -> str:
    """Write one line of a timeline as JSON, without what is empty."""
    facts = {
        "at": float(epoch(entry.at)),
        "event": entry.event,
        "call": entry.call,
        "status": entry.http_status,
        "ms": entry.elapsed_ms,
        "error_code": entry.error_code,
        "correlation_id": entry.correlation_id,
        "detail": entry.detail,
        "by": entry.by,
    }
    return to_json(
        {
            name: _text(fact) if isinstance(fact, str) else fact
            for name, fact in facts.items()
            if fact is not None
        }
    )


def decode_entry(text: str) -> Entry:
    """Read one line of a timeline back. Raises ValueError, KeyError, TypeError or OverflowError."""
    facts = json.loads(text)
    words = ("event", "call", "error_code", "correlation_id", "detail", "by")
    known = {name: _of_type(str, facts[name]) for name in words if name in facts}
    return Entry(
        at=moment(facts["at"]),
        event=known.pop("event"),
        http_status=_of_type(int, facts["status"]) if "status" in facts else None,
        elapsed_ms=_of_type(int, facts["ms"]) if "ms" in facts else None,
        **known,
    )


def _of_type(kind: type[_Fact], fact: object) -> _Fact:
    if isinstance(fact, bool) or not isinstance(fact, kind):
        raise TypeError(f"{fact!r} is no {kind.__name__}")
    return fact


def epoch(at: datetime) -> str:
    """Write a time as epoch seconds with milliseconds. What is finer is cut off.

    Rounded up, the last moment of the year 9999 would be none that can be read.
    """
    return f"{(at - _EPOCH) // _MILLISECOND / 1000:.3f}"


def moment(text: str) -> datetime:
    """Read a time written by `epoch`. Raises ValueError or OverflowError when it is none."""
    return _EPOCH + round(float(text) * 1000) * _MILLISECOND


def number(text: str | bytes | int) -> int:
    """Read a whole number. Raises ValueError when it is none, or none that Redis could count to."""
    value = int(text)
    if abs(value) > _LARGEST:
        raise ValueError("the number has more than 63 bits")
    return value
