"""What all workers together have found to be wrong: raised once, by whoever is first.

A flag in Redis, so that one worker says it and not all. It lapses by itself when nobody renews
it: what nothing speaks for any more need not be shown.
"""

from datetime import datetime
from enum import StrEnum
from typing import Self, cast

from redis import Redis

from pushes.store import codec, keys

# Longer than the time between two pushes of an order: while there are orders that Klarna should
# push, there is something to judge by again before the flag lapses.
_TTL_S = 5 * 3600


class Alarm(StrEnum):
    """What can be wrong, what it means, and what to do."""

    meaning: str
    action: str

    def __new__(cls, word: str, meaning: str, action: str) -> Self:
        """Make the member: its value is the word alone."""
        alarm = str.__new__(cls, word)
        alarm._value_ = word
        alarm.meaning = meaning
        alarm.action = action
        return alarm

    PUSHES_NOT_REACHING_US = (
        "pushes_not_reaching_us",
        (
            "Klarna should have pushed orders again, and no push came. New orders are not heard of"
            " either."
        ),
        "Look at what stands before the web process: DNS, certificate, firewall, proxy.",
    )
    PUSHES_REFUSED = (
        "pushes_refused",
        (
            "Pushes with a wrong token keep coming, and each is refused. Orders of Klarna's among"
            " them are not acknowledged, and Klarna gives up after 48 hours."
        ),
        (
            "Compare the push URL at Klarna with PUSH_TOKEN or the account's push_token; then queue"
            " the orders with `klarna-ack push`."
        ),
    )
    ACCOUNT_NOT_SERVED = (
        "account_not_served",
        "An account has orders, and no worker has its credentials. They wait, and are not tried.",
        "Add the account to the workers' ACCOUNTS_FILE and restart them.",
    )


def set_off(redis: Redis, alarm: Alarm, now: datetime) -> bool:
    """Raise an alarm, or keep it raised; say whether this call raised it."""
    flag = keys.alarm(alarm)
    if redis.set(flag, codec.epoch(now), nx=True, ex=_TTL_S):
        return True
    redis.expire(flag, _TTL_S)
    return False


def clear(redis: Redis, alarm: Alarm) -> bool:
    """Take an alarm back; say whether this call did."""
    return bool(redis.delete(keys.alarm(alarm)))


def raised(redis: Redis) -> dict[Alarm, datetime]:
    """Name the alarms that are raised, each with the time since when."""
    flags = cast(list[bytes | None], redis.mget([keys.alarm(alarm) for alarm in Alarm]))
    return {
        alarm: codec.moment(since.decode())
        for alarm, since in zip(Alarm, flags, strict=True)
        if since is not None
    }
