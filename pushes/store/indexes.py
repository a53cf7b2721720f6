"""What a change writes in the ledger: record, timeline, indexes, expiry. Pure.

Every index is derived from the record before and after, so none can be forgotten.
"""

from pushes import policy
from pushes.model import Change, Lane, Push, Reason, State
from pushes.store import codec, keys, resend_counts
from pushes.store.rq_mirror import Command


def commands(change: Change) -> list[Command]:
    """List what a change writes in the ledger: record, timeline, indexes, expiry."""
    before, after = change.before, change.after
    record, timeline = keys.record(after.key), keys.timeline(after.key)
    old = codec.encode(before) if before else {}
    new = codec.encode(after)
    changed = [pair for pair in new.items() if pair not in old.items()]
    written: list[Command] = [("HSET", record, *(word for pair in changed for word in pair))]
    if gone := old.keys() - new.keys():
        written.append(("HDEL", record, *gone))
    if change.entries:
        written.append(("RPUSH", timeline, *map(codec.encode_entry, change.entries)))
        if before:
            written.append(("LTRIM", timeline, -policy.MAX_TIMELINE_ENTRIES, -1))
    written += _index(before, after)
    written += _proof(before, after)
    written += resend_counts.commands(change)
    if after.state.is_settled or after.discarded:
        ttl_s = int(policy.RETENTION.total_seconds())
        written += [("EXPIRE", record, ttl_s), ("EXPIRE", timeline, ttl_s)]
    elif before and (before.state.is_settled or before.discarded):
        written += [("PERSIST", record), ("PERSIST", timeline)]
    return written


def removal(push: Push) -> list[Command]:
    """List what takes a push out of the ledger as if it had never been there."""
    member = keys.job_id(push.key)
    places = [*_places(push), keys.RESENDS]
    gone: list[Command] = [("ZREM", place, member) for place in places]
    return [*gone, ("DEL", keys.record(push.key), keys.timeline(push.key))]


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
    if push.is_unacknowledged:
        places[keys.UNACKNOWLEDGED] = codec.epoch(push.deadline_at)
    if isinstance(push.reason, Reason):
        places[keys.dead_letters(push.key.account, push.reason)] = score
    return places
