"""Looks whether Klarna's re-sends arrive: an order that is not acknowledged is pushed again.

When they stay away, pushes of new orders stay away as well, and nothing else here would tell.
Every worker runs it; each re-send is counted once. Refused: counting what says nothing, because
Klarna does not know the order or has an outage itself.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import cast

from redis import Redis

from pushes import log, resends
from pushes.model import Push
from pushes.read import alarms
from pushes.read.alarms import Alarm
from pushes.store import codec, keys, records
from pushes.store.connection import read_script
from pushes.store.counted import resend_counts
from pushes.store.rq_mirror import Command

_log = log.get(__name__)

# One round trip takes so many at a time, so that Redis answers others in between.
_BATCH = 500

_COUNT_ONCE = read_script("worker.periodic", "count_once.lua")

_Due = tuple[bytes, float]
IsHeld = Callable[[str], bool]


def nobody_is_held(_account: str) -> bool:
    """Say that no account has an outage."""
    return False


def scan(redis: Redis, now: datetime, is_held: IsHeld = nobody_is_held) -> None:
    """Count the re-sends that have come or stayed away by now, then judge the last hour.

    `is_held` says of an account whether it is held for an outage of Klarna's: nothing is counted
    for it then.
    """
    while len(_count_due(redis, now, is_held)) == _BATCH:
        pass
    _judge(redis, now)


def _count_due(redis: Redis, now: datetime, is_held: IsHeld) -> list[_Due]:
    due = cast(
        list[_Due],
        redis.zrangebyscore(
            keys.RESENDS, "-inf", codec.epoch(now), start=0, num=_BATCH, withscores=True
        ),
    )
    wanted = {key: score for member, score in due if (key := keys.find_key(member))}
    held = {account for account in {key.account for key in wanted} if is_held(account)}
    batch: list[tuple[str, str, list[Command]]] = []
    for (key, score), push in zip(wanted.items(), records.get_many(redis, wanted), strict=True):
        name = keys.job_id(key)
        counts = key.account not in held
        commands = _verdicts(push, score, now, counts=counts) if push else []
        batch.append((name, repr(score), [*commands, _next(push, name, now)]))
    if batch:
        redis.eval(_COUNT_ONCE, 1, keys.RESENDS, json.dumps(batch))
    if astray := [member for member, _ in due if keys.find_key(member) is None]:
        redis.zrem(keys.RESENDS, *astray)  # no order of ours: it would come up for ever
    return due


def _verdicts(push: Push, score: float, now: datetime, *, counts: bool) -> list[Command]:
    if not counts or not resends.says_something(push):
        return []
    expected = codec.moment(str(score)) - resends.GRACE
    return [
        command
        for at in resends.due_by(push, expected, now)
        for command in resend_counts.count(at, seen=resends.is_seen(push, at))
    ]


def _next(push: Push | None, name: str, now: datetime) -> Command:
    following = resends.awaited(push, now) if push else None
    if following is None:  # Klarna has pushed it for the last time
        return ("ZREM", keys.RESENDS, name)
    return ("ZADD", keys.RESENDS, resend_counts.score(following), name)


def _judge(redis: Redis, now: datetime) -> None:
    hour = resend_counts.last_hour(redis, now)
    alarm = Alarm.PUSHES_NOT_REACHING_US
    facts = {"missed_in_an_hour": hour.missed, "expected_in_an_hour": hour.expected}
    if resends.do_not_reach_us(hour):
        if alarms.set_off(redis, alarm, now):
            _log.error(
                "pushes.not_reaching_us", **facts, meaning=alarm.meaning, action=alarm.action
            )
    elif hour.seen and alarms.clear(redis, alarm):
        _log.info("pushes.reaching_us_again", **facts)
