"""Where it is kept which re-sends are awaited, and how many came: a set, buckets and totals.

An order is awaited from Klarna's first push on, until it is settled or discarded. One that was
queued by hand is not: nobody here knows when Klarna pushed it first.
"""

from datetime import datetime, timedelta

from redis import Redis

from pushes import resends
from pushes.model import Change, Push
from pushes.origin import KLARNA
from pushes.resends import ResendCounts
from pushes.store import codec, keys
from pushes.store.rq_mirror import Command

# Counts are kept for each ten minutes, by the time the re-send was expected at.
_BUCKET_S = 600

# How far back the last hour reaches: what is awaited now was expected up to `GRACE` ago.
_HOUR = timedelta(hours=1) + resends.GRACE

# Buckets outlive the hour, so that none is lost to a worker whose clock is behind.
_BUCKET_TTL_S = 3 * 3600


def commands(change: Change) -> list[Command]:
    """List what a change writes here, as `pushes.writing` does for the rest."""
    before, after = change.before, change.after
    member = keys.job_id(after.key)
    was_open = before is not None and before.is_unacknowledged
    if not after.is_unacknowledged:
        leave: list[Command] = [("ZREM", keys.RESENDS, member)]
        return leave + _settled(after) if was_open else []
    if before and before.first_push_at == after.first_push_at:
        return []
    expected = resends.awaited(after, after.first_push_at)
    if expected and any(entry.event == KLARNA.event for entry in change.entries):
        return [("ZADD", keys.RESENDS, score(expected), member)]
    return [("ZREM", keys.RESENDS, member)] if was_open else []


def count(expected: datetime, *, seen: bool) -> list[Command]:
    """List what counts one re-send."""
    bucket, word = _bucket(expected.timestamp()), "seen" if seen else "missed"
    return [
        ("HINCRBY", bucket, word, 1),
        ("EXPIRE", bucket, _BUCKET_TTL_S),
        ("HINCRBY", keys.RESEND_TOTALS, word, 1),
    ]


def score(expected: datetime) -> str:
    """Say when a re-send counts as missed: epoch seconds."""
    return codec.epoch(expected + resends.GRACE)


def last_hour(redis: Redis, now: datetime) -> ResendCounts:
    """Add up the re-sends that were expected in the last hour."""
    pipeline = redis.pipeline(transaction=False)
    first = int((now - _HOUR).timestamp()) // _BUCKET_S * _BUCKET_S
    for at in range(first, int(now.timestamp()) + 1, _BUCKET_S):
        pipeline.hmget(_bucket(at), "seen", "missed")
    numbers = [(int(seen or 0), int(missed or 0)) for seen, missed in pipeline.execute()]
    return ResendCounts(*map(sum, zip(*numbers, strict=True)))


def totals(redis: Redis) -> ResendCounts:
    """Read what was counted since the ledger began."""
    seen, missed = redis.hmget(keys.RESEND_TOTALS, ["seen", "missed"])
    return ResendCounts(codec.number(seen or 0), codec.number(missed or 0))


def _settled(push: Push) -> list[Command]:
    """Count the re-send that came before its order was settled: nobody will look for it later."""
    if push.discarded:
        return []
    expected = resends.awaited(push, push.changed_at)
    came = expected is not None and resends.is_seen(push, expected)
    return count(expected, seen=True) if expected and came else []


def _bucket(at: float) -> str:
    return keys.resends_counted(int(at) // _BUCKET_S)
