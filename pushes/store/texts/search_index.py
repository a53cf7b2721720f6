"""By which texts an order is found besides its id: Klarna's and the merchant's references, calls.

The index holds digests, not texts: a text tells its bucket, and its score there. So an entry takes
some 60 bytes, since Redis keeps small sets and hashes packed, and nobody's reference stands in a
key. What is found is held against the record by whoever looks.

Three parts. Orders that are not settled stand under the texts of their records, and leave as these
change. What is settled stands in parts for spans of time, which expire as a whole, later than the
records of that time do, and so do the correlation ids of calls: nothing has to take them out.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pushes.model import Change, Entry, Push
from pushes.store import keys
from pushes.store.rq_mirror import Command
from pushes.store.texts.digests import Kind, digest, texts

# What finds an order goes when all of its span of time may go. A longer span keeps what is not
# needed any more for longer; a shorter one makes more keys.
PERIOD = timedelta(days=5)

# Those that stay with the order once it is settled.
_OF_THE_ORDER = (Kind.KLARNA_REFERENCE, Kind.MERCHANT_REFERENCE1, Kind.MERCHANT_REFERENCE2)


def places(push: Push) -> dict[str, str]:
    """Name the parts of the index in which a push that is not settled stands, with its scores."""
    if _is_over(push):
        return {}
    found = {kind: digest(text) for kind, text in texts(push).items()}
    return {keys.references(kind, it.bucket): str(it.score) for kind, it in found.items()}


def commands(change: Change, retention: timedelta) -> list[Command]:
    """List what a change adds to the parts that expire."""
    member = keys.job_id(change.after.key)
    written: list[Command] = []
    for kind, text in _newly_settled(change):
        found, at = digest(text), change.after.changed_at
        name = keys.settled_references(_period(at), kind, found.bucket)
        written += [("ZADD", name, str(found.score), member), _expire(name, retention)]
    for entry in _calls(change):
        found = digest(entry.correlation_id or "")
        name = keys.calls(_period(entry.at), found.bucket)
        written += [("HSET", name, str(found.score), member), _expire(name, retention)]
    return written


def parts(kind: Kind, bucket: int, now: datetime, retention: timedelta) -> list[str]:
    """Name the sorted sets in which orders stand under a text of one kind."""
    settled = [keys.settled_references(at, kind, bucket) for at in _periods(now, retention)]
    return [keys.references(kind, bucket), *(settled if kind in _OF_THE_ORDER else [])]


def call_parts(bucket: int, now: datetime, retention: timedelta) -> list[str]:
    """Name the hashes that tell orders by correlation ids."""
    return [keys.calls(at, bucket) for at in _periods(now, retention)]


def _is_over(push: Push) -> bool:
    return push.state.is_settled or push.discarded


def _newly_settled(change: Change) -> Iterator[tuple[Kind, str]]:
    before, after = change.before, change.after
    if not _is_over(after):
        return
    old = texts(before) if before and _is_over(before) else {}
    for kind, text in texts(after).items():
        if kind in _OF_THE_ORDER and old.get(kind) != text:
            yield kind, text


def _calls(change: Change) -> Iterator[Entry]:
    """List the calls that somebody may ask for: those that failed, and the last one."""
    named = [entry for entry in change.entries if entry.correlation_id]
    for entry in named:
        if entry.failure or entry is named[-1]:
            yield entry


def _period(at: datetime) -> int:
    return int(at.timestamp() // PERIOD.total_seconds())


def _periods(now: datetime, retention: timedelta) -> range:
    """Name the spans of time whose records may be there, and the next, for clocks that differ."""
    return range(_period(now - retention), _period(now) + 2)


def _expire(name: str, retention: timedelta) -> Command:
    """Keep a part for longer than any record of its span of time."""
    return ("EXPIRE", name, int((retention + PERIOD).total_seconds()))
