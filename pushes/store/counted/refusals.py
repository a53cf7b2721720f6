"""Refused pushes, counted by account and reason over all web processes.

None of them is stored. Klarna repeats a push that was refused, but for 48 hours only.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self, cast

from redis import Redis

from pushes.store import codec, keys

# Wrong tokens are counted in spans of so long, to see whether they keep coming.
SPAN = timedelta(hours=1)


class RefusalReason(StrEnum):
    """Why a push is refused, with a sentence and the remedy for whoever reads the count."""

    sentence: str
    remedy: str

    def __new__(cls, word: str, sentence: str, remedy: str) -> Self:
        """Make the member: its value is the word alone."""
        reason = str.__new__(cls, word)
        reason._value_ = word
        reason.sentence = sentence
        reason.remedy = remedy
        return reason

    @classmethod
    def of(cls, word: str) -> Self:
        """Return the member with this word. Raises ValueError when there is none."""
        return cls(word)  # type: ignore[call-arg]  # mypy takes __new__ for the look-up

    WRONG_TOKEN = (
        "wrong_token",
        "Its URL carries no token, or not the account's.",
        "compare the push URL at Klarna with PUSH_TOKEN or the account's push_token",
    )
    UNKNOWN_ACCOUNT = (
        "unknown_account",
        "Its URL names an account that is not configured.",
        "compare the push URL at Klarna with ACCOUNTS_FILE",
    )
    MALFORMED_ID = (
        "malformed_id",
        "Its URL names no order, or what it names is no order id.",
        "compare the push URL at Klarna with the README",
    )
    TOO_LARGE = (
        "too_large",
        "Its body is larger than that of any push.",
        "find out who sends it: Klarna does not",
    )
    UNVERIFIED = (
        "unverified",
        "Too many pushes from unverified sources wait already.",
        "somebody floods the push URL: set PUSH_TOKEN, or block the sender at the proxy",
    )


# An account that is configured, or None; and why.
Refusal = tuple[str | None, RefusalReason]


def add(redis: Redis, refused: Mapping[Refusal, int], now: datetime) -> dict[str, int]:
    """Add to the counts, in one round trip.

    Return how many pushes with a wrong token each account concerned has had in this hour. Raises
    RedisError.
    """
    lately = keys.refused_lately(int(now.timestamp() // SPAN.total_seconds()))
    wrong = {
        account: count
        for (account, reason), count in refused.items()
        if account and reason is RefusalReason.WRONG_TOKEN
    }
    pipeline = redis.pipeline(transaction=False)
    for account, count in wrong.items():
        pipeline.hincrby(lately, account, count)
    if wrong:
        pipeline.expire(lately, 2 * SPAN)
    for (named, reason), count in refused.items():
        pipeline.hincrby(keys.REFUSED, f"{named or ''}:{reason}", count)
    return dict(zip(wrong, cast(list[int], pipeline.execute()), strict=False))


def totals(redis: Redis) -> dict[Refusal, int]:
    """Read what was counted since the first push."""
    raw = cast(dict[bytes, bytes], redis.hgetall(keys.REFUSED))
    return {_refusal(name.decode()): codec.number(count) for name, count in sorted(raw.items())}


def _refusal(name: str) -> Refusal:
    account, _, reason = name.rpartition(":")
    return account or None, RefusalReason.of(reason)
