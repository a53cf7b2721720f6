"""What a change writes besides the RQ job: indexes, timeline, record. Pure, but for the readers.

Every index is derived from the record before and after, so none can be forgotten.
"""

from datetime import timedelta
from typing import cast

from redis import Redis

from pushes import policy
from pushes.model import TRUSTED, Change, Lane, Push, PushKey, Reason, State, is_account
from pushes.store import codec, keys
from pushes.store.repair import quarantine
from pushes.store.rq_mirror import Command
from pushes.store.texts import search_index

# The field of a record that says which change wrote it last.
COMMIT_FIELD = "commit"


def timeline(change: Change, retention: timedelta) -> list[Command]:
    """List what a change adds to the timeline, which twice done would stand there twice.

    A settled push keeps it for a day, but what an operator did to it as long as its record, as a
    discarded one keeps all.
    """
    if not change.entries:
        return []
    name = keys.timeline(change.after.key)
    kept = max(1, policy.MAX_TIMELINE_ENTRIES - len(change.entries))
    trimmed: list[Command] = [("LTRIM", name, -kept, -1)] if change.before else []
    added: Command = ("RPUSH", name, *map(codec.encode_entry, change.entries))
    is_brief = change.after.state.is_settled and not any(entry.by for entry in change.entries)
    kept_for = min(policy.TIMELINE_KEPT, retention) if is_brief else retention
    return [*trimmed, added, *expiry(name, change, kept_for)]


def record(change: Change, retention: timedelta) -> list[Command]:
    """List what writes the record: one command, so that it is never half written.

    A field that is gone is written empty, which counts as none, and taken out afterwards.
    """
    name = keys.record(change.after.key)
    is_anew = change.before is None or change.before.unreadable is not None
    old = {} if change.before is None or is_anew else codec.encode(change.before)
    new = codec.encode(change.after)
    gone = old.keys() - new.keys()
    changed = [pair for pair in new.items() if pair not in old.items()]
    words = [word for pair in (*changed, *((field, "") for field in gone)) for word in pair]
    written: list[Command] = [("HSET", name, *words, COMMIT_FIELD, change.token)]
    if gone:
        written.append(("HDEL", name, *gone))
    if change.before and change.before.unreadable:
        return [*quarantine.set_aside(name), *written, *expiry(name, change, retention)]
    return written


def removal(push: Push) -> list[Command]:
    """List what takes a push out of the ledger as if it had never been there."""
    member = keys.job_id(push.key)
    stands_in = [*places(push), keys.RESENDS]
    gone: list[Command] = [("ZREM", place, member) for place in stands_in]
    return [*gone, ("DEL", keys.timeline(push.key), keys.record(push.key))]


def every_place(push: Push) -> list[str]:
    """Name every index that a push could stand in, whatever is true of what it says of itself."""
    key = push.key
    return [
        *map(keys.index, State),
        keys.UNACKNOWLEDGED,
        keys.ALONE,
        keys.held(key.account),
        keys.unknown(key.account),
        *([keys.waiting_of(key.account, push.source)] if push.source else []),
        *(keys.dead_letters(key.account, reason) for reason in Reason),
        *map(keys.dead_of, Reason),
        *(keys.cause(key.account, reason, push.error_code) for reason in Reason),
        *search_index.places(push),
    ]


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


def expiry(name: str, change: Change, kept_for: timedelta) -> list[Command]:
    """List what lets a key of a settled or discarded push expire, or keeps it from that."""
    before, after = change.before, change.after
    if after.state.is_settled or after.discarded:
        return [("EXPIRE", name, int(kept_for.total_seconds()))]
    if before and (before.state.is_settled or before.discarded):
        return [("PERSIST", name)]
    return []


def proof(change: Change) -> list[Command]:
    """Note of the source of a push that its order is real, or that Klarna does not know it.

    Each order counts once. Only a source that has pushed a real one can lose what it earned, so
    made-up orders from anywhere write nothing here.
    """
    before, after = change.before, change.after
    if before is None or after.source is None:
        return []
    name, source = keys.sources(after.key.account), after.source
    if before.verified_at is None and after.verified_at is not None:
        return [
            ("ZINCRBY", name, 1, source),
            ("ZADD", name, "XX", "LT", policy.PROVEN_AT_MOST, source),
            ("EXPIRE", name, int(policy.PROVEN_FOR.total_seconds())),
        ]
    if after.verified_at is None and not before.not_found and after.not_found:
        return [("ZADD", name, "XX", "INCR", -policy.MADE_UP_COSTS, source)]
    return []


def commands(change: Change) -> list[Command]:
    """List what a change writes in the indexes."""
    before, after = change.before, change.after
    if change.rebuilds_job:  # whatever the record says, it may stand anywhere
        old: dict[str, str] = dict.fromkeys(every_place(before or after), "")
    else:
        old = places(before) if before else {}
    new, member = places(after), keys.job_id(after.key)
    moved: list[Command] = [("ZREM", place, member) for place in old if place not in new]
    for place in new:
        if old.get(place) != new[place]:
            moved += standing(after, place, new[place])
    if before is None or after.state is State.DEAD:
        moved.append(("SADD", keys.ACCOUNTS, after.key.account))
    if after.state is State.HELD:
        moved += [
            ("SADD", keys.HELD_ACCOUNTS, after.key.account),
            ("SADD", keys.WORK_ARRIVED, after.key.account),
        ]
    return moved


def standing(push: Push, place: str, score: str) -> list[Command]:
    """List what puts a push into one of its `places`; a cause of death is known from then on."""
    put: list[Command] = [("ZADD", place, score, keys.job_id(push.key))]
    if isinstance(push.reason, Reason):
        cause = keys.cause(push.key.account, push.reason, push.error_code)
        if place == cause:
            put.append(("ZADD", keys.CAUSES, "GT", score, cause))
    return put


def places(push: Push) -> dict[str, str]:
    """Name the indexes a push stands in, each with its score there."""
    if push.discarded:
        return {}
    score = codec.epoch(push.deadline_at if push.state.is_waiting else push.changed_at)
    found = {keys.index(push.state): score}
    if push.state.is_waiting and push.lane is Lane.UNKNOWN:
        found[keys.unknown(push.key.account)] = score
    elif push.state.is_waiting and push.source and push.source != TRUSTED:
        found[keys.waiting_of(push.key.account, push.source)] = score
    if push.state is State.HELD:
        found[keys.held(push.key.account)] = score
    if push.runs_alone and push.state is State.RETRYING and push.next_attempt_at:
        found[keys.ALONE] = codec.epoch(push.next_attempt_at)
    if push.is_unacknowledged:
        found[keys.UNACKNOWLEDGED] = codec.epoch(push.deadline_at)
    if isinstance(push.reason, Reason):
        found[keys.dead_letters(push.key.account, push.reason)] = score
        found[keys.dead_of(push.reason)] = score
        found[keys.cause(push.key.account, push.reason, push.error_code)] = score
    return found | search_index.places(push)
