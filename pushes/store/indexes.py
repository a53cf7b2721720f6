"""What a change writes besides the RQ job: indexes, timeline, record. Pure, but for the readers.

Every index is derived from the record before and after, so none can be forgotten. The record
comes last: what stands in it is true of everything else.
"""

from typing import cast

from redis import Redis

from pushes import policy
from pushes.model import Change, Lane, Push, PushKey, Reason, State, is_account
from pushes.store import codec, keys, resend_counts
from pushes.store.rq_mirror import Command

# The field of a record that says which change wrote it last.
COMMIT_FIELD = "commit"

_RETENTION_S = int(policy.RETENTION.total_seconds())


def commands(change: Change) -> list[Command]:
    """List what a change writes: indexes, timeline, and the record as the last."""
    before, after = change.before, change.after
    return [
        *_index(before, after),
        *_proof(before, after),
        *resend_counts.commands(change),
        *_timeline(change),
        *_record(change),
    ]


def removal(push: Push) -> list[Command]:
    """List what takes a push out of the ledger as if it had never been there."""
    member = keys.job_id(push.key)
    places = [*_places(push), keys.RESENDS]
    gone: list[Command] = [("ZREM", place, member) for place in places]
    return [*gone, ("DEL", keys.timeline(push.key), keys.record(push.key))]


def accounts(redis: Redis) -> list[str]:
    """Name the accounts that ever had a push, past what names none. Raises RedisError."""
    members = cast(set[bytes], redis.smembers(keys.ACCOUNTS))
    return sorted(name for member in members if (name := account_of(member)))


def account_of(member: bytes) -> str | None:
    """Read a member of the accounts; None when it can name no account."""
    name = member.decode(errors="replace")
    return name if is_account(name) else None


def members(redis: Redis, state: State) -> list[PushKey]:
    """List the pushes in one state, the most urgent or oldest first. Raises RedisError."""
    raw = cast(list[bytes], redis.zrange(keys.index(state), 0, -1))
    return [key for member in raw if (key := keys.find_key(member))]


def _timeline(change: Change) -> list[Command]:
    timeline = keys.timeline(change.after.key)
    written: list[Command] = []
    if change.entries:
        written.append(("RPUSH", timeline, *map(codec.encode_entry, change.entries)))
        if change.before:
            written.append(("LTRIM", timeline, -policy.MAX_TIMELINE_ENTRIES, -1))
    return [*written, *_expiry(timeline, change)]


def _record(change: Change) -> list[Command]:
    record = keys.record(change.after.key)
    old = codec.encode(change.before) if change.before else {}
    new = codec.encode(change.after)
    changed = [pair for pair in new.items() if pair not in old.items()]
    gone = old.keys() - new.keys()
    written: list[Command] = [("HDEL", record, *gone)] if gone else []
    words = [word for pair in changed for word in pair]
    written.append(("HSET", record, *words, COMMIT_FIELD, change.token))
    return [*written, *_expiry(record, change)]


def _expiry(name: str, change: Change) -> list[Command]:
    before, after = change.before, change.after
    if after.state.is_settled or after.discarded:
        return [("EXPIRE", name, _RETENTION_S)]
    if before and (before.state.is_settled or before.discarded):
        return [("PERSIST", name)]
    return []


def _proof(before: Push | None, after: Push) -> list[Command]:
    """Note who pushed an order, when Klarna has shown it for the first time."""
    is_first = before is not None and before.verified_at is None
    if not is_first or after.verified_at is None or after.source is None:
        return []
    name, ttl_s = keys.sources(after.key.account), int(policy.PROVEN_FOR.total_seconds())
    return [
        ("ZADD", name, codec.epoch(after.verified_at), after.source),
        ("EXPIRE", name, ttl_s),
    ]


def _index(before: Push | None, after: Push) -> list[Command]:
    old, new = _places(before), _places(after)
    member = keys.job_id(after.key)
    moved: list[Command] = [("ZREM", place, member) for place in old if place not in new]
    moved += [("ZADD", place, new[place], member) for place in new if old.get(place) != new[place]]
    if before is None or after.state is State.DEAD:
        moved.append(("SADD", keys.ACCOUNTS, after.key.account))
    return moved


def _places(push: Push | None) -> dict[str, str]:
    """Name the indexes a push stands in, each with its score there."""
    if push is None or push.discarded:
        return {}
    score = codec.epoch(push.deadline_at if push.state.is_waiting else push.changed_at)
    places = {keys.index(push.state): score}
    if push.state.is_waiting and push.lane is Lane.UNKNOWN:
        places[keys.unknown(push.key.account)] = score
    if push.state is State.HELD:
        places[keys.held(push.key.account)] = score
    if push.runs_alone and push.state is State.RETRYING and push.next_attempt_at:
        places[keys.ALONE] = codec.epoch(push.next_attempt_at)
    if push.is_unacknowledged:
        places[keys.UNACKNOWLEDGED] = codec.epoch(push.deadline_at)
    if isinstance(push.reason, Reason):
        places[keys.dead_letters(push.key.account, push.reason)] = score
    return places
