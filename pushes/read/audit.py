"""What operators did: who, when, what, why, to how many orders of which account, with what result.

It stands in one stream in Redis, which `pushes.operate.audit` appends to. Changes nothing.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import cast

from redis import Redis
from typing_extensions import TypedDict

from pushes.read.views import instant
from pushes.store import codec, keys
from pushes.store.connection import read_script

# So many entries are read in one round trip: two milliseconds of Redis.
_CHUNK = 250

# So many entries a page looks at to find those of one account: some hundredths of a second.
LOOK_AT_MOST = 5000

_OF_ACCOUNT = read_script("pushes.read", "audit_of_account.lua")

# An entry as Redis has it: its place, and its fields.
_Raw = tuple[bytes, dict[bytes, bytes]]


class AuditResult(StrEnum):
    """How far an act came. One on many orders has an entry when it begins and one when it ends."""

    BEGUN = "begun"
    DONE = "done"
    INTERRUPTED = "interrupted"  # by the operator
    FAILED = "failed"  # by Redis, by Klarna, or by a fault of ours


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What one operator did to one account. Of `orders`, `refused` were left as they were.

    `account` is None for what concerns none, such as who has access. `order_id` names the order
    when it was one, `why` the reason when one was asked for, `detail` what was asked of Klarna and
    why it failed.
    """

    by: str
    action: str
    account: str | None
    result: AuditResult = AuditResult.DONE
    why: str | None = None
    orders: int | None = None
    refused: int = 0
    order_id: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One entry as it stands in the stream, at its place; None for one that cannot be read."""

    place: str
    entry: AuditEntry | None

    @property
    def at(self) -> datetime:
        """When it was written, by Redis's clock."""
        return datetime.fromtimestamp(int(self.place.partition("-")[0]) / 1000, UTC)


@dataclass(frozen=True, slots=True)
class AuditLines:
    """Entries that were found, the newest first; the next ones are before `next_place`.

    It is None at the end. There may be more although these are fewer than were asked for.
    """

    lines: list[AuditLine]
    next_place: str | None

    @property
    def looked_back_to(self) -> datetime | None:
        """When the entry was written behind which nobody has looked; None at the end."""
        return None if self.next_place is None else AuditLine(self.next_place, None).at


class AuditPlaceError(ValueError):
    """A place that no entry can have."""


class AuditView(TypedDict):
    """One line of the audit; all but `at` is null for one that cannot be read."""

    at: str
    by: str | None
    action: str | None
    account: str | None
    orders: int | None
    refused: int | None
    result: str | None
    why: str | None
    order_id: str | None
    detail: str | None


def newest_first(
    redis: Redis,
    *,
    limit: int,
    account: str | None = None,
    before: str | None = None,
    look_at_most: float = LOOK_AT_MOST,
) -> AuditLines:
    """Read entries, the newest first: `account`'s only, and only those before a place.

    For an account it looks at `look_at_most` entries of all there are, or a few more. Raises
    AuditPlaceError for a place that is none, and RedisError.
    """
    found: list[AuditLine] = []
    last, looked_at = check_place(before) if before else None, 0
    while len(found) <= limit:  # one more than asked for: there is a next page
        if looked_at >= look_at_most:
            return AuditLines(found, last)
        end = f"({last}" if last else "+"
        if account is None:
            raw, place = _read(redis, end, limit + 1 - len(found))
        else:
            raw, place = _read_account(redis, end, account)
            looked_at += _CHUNK
        found += [AuditLine(at.decode(), _decode(fields)) for at, fields in raw]
        if place is None:
            break
        last = place.decode()
    following = found[limit - 1].place if len(found) > limit else None
    return AuditLines(found[:limit], following)


def view(line: AuditLine) -> AuditView:
    """Show one line of the audit."""
    entry = line.entry
    return {
        "at": instant(line.at),
        "by": entry.by if entry else None,
        "action": entry.action if entry else None,
        "account": entry.account if entry else None,
        "orders": entry.orders if entry else None,
        "refused": entry.refused if entry else None,
        "result": str(entry.result) if entry else None,
        "why": entry.why if entry else None,
        "order_id": entry.order_id if entry else None,
        "detail": entry.detail if entry else None,
    }


def check_place(text: str) -> str:
    """Return `text`. Raises AuditPlaceError unless it names a place in the stream."""
    milliseconds, _, number = text.partition("-")
    if not (milliseconds.isascii() and number.isascii()):
        raise AuditPlaceError(text)
    if not (milliseconds.isdigit() and number.isdigit()):
        raise AuditPlaceError(text)
    return text


def _read(redis: Redis, end: str, count: int) -> tuple[list[_Raw], bytes | None]:
    """Read a part; return it, and the place of its last entry if there may be more behind."""
    count = min(count, _CHUNK)
    raw = cast(list[_Raw], redis.xrevrange(keys.AUDIT, end, "-", count=count))
    return raw, raw[-1][0] if len(raw) == count else None


def _read_account(redis: Redis, end: str, account: str) -> tuple[list[_Raw], bytes | None]:
    """Read what a part says of one account, as `_read` does; Redis leaves out the others."""
    read = redis.register_script(_OF_ACCOUNT)
    looked_at, last, entries = read(keys=[keys.AUDIT], args=[end, _CHUNK, account])
    raw = [(place, dict(zip(fields[::2], fields[1::2], strict=True))) for place, fields in entries]
    return raw, last if looked_at == _CHUNK else None


def _decode(raw: dict[bytes, bytes]) -> AuditEntry | None:
    try:
        facts = {name.decode(): value.decode() for name, value in raw.items()}
        return AuditEntry(
            by=facts["by"],
            action=facts["action"],
            account=facts.get("account"),
            result=AuditResult(facts["result"]),
            why=facts.get("why"),
            orders=codec.number(facts["orders"]) if "orders" in facts else None,
            refused=codec.number(facts.get("refused", 0)),
            order_id=facts.get("order_id"),
            detail=facts.get("detail"),
        )
    except (ValueError, KeyError):
        return None
