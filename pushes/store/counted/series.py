"""What was counted, as it stood at times gone by: what charts of the last hour, day and week show.

A sample holds the totals at one moment. What happened between two moments is the difference of two
samples, so a sample that is missing makes the picture coarser, and loses nothing. One stream for
each range holds as many samples as the range has steps; nothing here grows.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self, cast

from redis import Redis
from redis.exceptions import ResponseError

from pushes.store import codec, keys
from pushes.store.counted.totals import ACKNOWLEDGED_AFTER, CALLS, Total

# The totals that a sample holds, and those of calls; each is followed by a colon.
_SAMPLED = tuple(
    f"{name}:" for name in (Total.ACCEPTED, Total.ATTEMPTS, Total.DEAD, ACKNOWLEDGED_AFTER.name)
)
_OF_CALLS = f"{CALLS.name}:"

# One sample more than the range has steps bounds the first step; one is being filled.
_SPARE = 2

# What Redis says of a step that another worker has sampled a moment ago.
_IS_TAKEN = "equal or smaller"


class Range(StrEnum):
    """How far back a picture reaches, and how long each of its steps is."""

    length: timedelta
    step: timedelta

    def __new__(cls, word: str, length: timedelta, step: timedelta) -> Self:
        """Make the member: its value is the word alone."""
        made = str.__new__(cls, word)
        made._value_ = word
        made.length = length
        made.step = step
        return made

    HOUR = "hour", timedelta(hours=1), timedelta(minutes=1)
    DAY = "day", timedelta(days=1), timedelta(minutes=10)
    WEEK = "week", timedelta(days=7), timedelta(hours=1)

    @classmethod
    def of(cls, word: str) -> Self:
        """Return the member with this word. Raises ValueError when there is none."""
        return cls(word)  # type: ignore[call-arg]  # mypy takes __new__ for the look-up

    @property
    def samples(self) -> int:
        """How many samples are kept."""
        return self.length // self.step + _SPARE

    def place(self, at: datetime) -> str:
        """Name the place in the stream of the step that a moment is in: one sample has room."""
        step_s = int(self.step.total_seconds())
        return f"{int(at.timestamp()) // step_s * step_s * 1000}-0"


@dataclass(frozen=True, slots=True)
class TotalsSample:
    """The totals at a moment, by field; and since when the oldest order waited, if one did.

    Those of calls are by far the most, and few look at them: they are kept as JSON.
    """

    at: datetime
    totals: Mapping[str, int]
    calls_json: str
    oldest_since: datetime | None

    @property
    def calls(self) -> dict[str, int]:
        """Read the totals of calls. Raises ValueError for what is none."""
        return _counts(self.calls_json)


def due(redis: Redis, at: datetime) -> list[Range]:
    """Name the ranges that have no sample of the step that `at` is in. Raises RedisError."""
    pipeline = redis.pipeline(transaction=False)
    for one in Range:
        pipeline.xrevrange(keys.series(one), count=1)
    last = [entries[0][0].decode() if entries else "0-0" for entries in pipeline.execute()]
    return [one for one, place in zip(Range, last, strict=True) if _ms(place) < _ms(one.place(at))]


def take(redis: Redis, ranges: list[Range], sample: TotalsSample) -> None:
    """Put a sample into ranges.

    Whichever of several workers comes first takes the sample of a step. Raises RedisError.
    """
    fields = {
        "at": codec.epoch(sample.at),
        "totals": codec.to_json(dict(sample.totals)),
        "calls": sample.calls_json,
    }
    if sample.oldest_since:
        fields["oldest_since"] = codec.epoch(sample.oldest_since)
    pipeline = redis.pipeline(transaction=False)
    for one in ranges:
        pipeline.xadd(
            keys.series(one),
            fields,  # type: ignore[arg-type]  # redis-py's dict takes no dict of str
            id=one.place(sample.at),
            maxlen=one.samples,
            approximate=False,
        )
    for answer in pipeline.execute(raise_on_error=False):
        if isinstance(answer, ResponseError) and _IS_TAKEN in str(answer):
            continue
        if isinstance(answer, Exception):
            raise answer


def present(redis: Redis, at: datetime, oldest_since: datetime | None) -> TotalsSample:
    """Make a sample of what the totals are now. Raises RedisError."""
    raw = cast(dict[bytes, bytes], redis.hgetall(keys.TOTALS))
    counts = {name.decode(errors="replace"): codec.number(count) for name, count in raw.items()}
    calls = {name: count for name, count in counts.items() if name.startswith(_OF_CALLS)}
    sampled = {name: count for name, count in counts.items() if name.startswith(_SAMPLED)}
    return TotalsSample(at, sampled, codec.to_json(calls), oldest_since)


def read(redis: Redis, wanted: Range, now: datetime) -> list[TotalsSample]:
    """Read the samples of a range, oldest first, with one before it.

    Raises RedisError, and ValueError or KeyError for what is no sample.
    """
    first = wanted.place(now - wanted.length - wanted.step)
    raw = cast(
        list[tuple[bytes, dict[bytes, bytes]]],
        redis.xrange(keys.series(wanted), first, "+"),
    )
    return [_decode(fields) for _, fields in raw]


def difference(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """Say what was counted between two samples, by field.

    A total that fell was counted from 0 on anew: Redis has lost its memory in between.
    """
    since = {name: count - before.get(name, 0) for name, count in after.items()}
    return {name: count if count > 0 else after[name] for name, count in since.items() if count}


def _decode(fields: Mapping[bytes, bytes]) -> TotalsSample:
    oldest = fields.get(b"oldest_since")
    return TotalsSample(
        at=datetime.fromtimestamp(float(fields[b"at"]), UTC),
        totals=_counts(fields[b"totals"]),
        calls_json=fields[b"calls"].decode(),
        oldest_since=datetime.fromtimestamp(float(oldest), UTC) if oldest else None,
    )


def _counts(text: str | bytes) -> dict[str, int]:
    return {name: int(count) for name, count in json.loads(text).items()}


def _ms(place: str) -> int:
    return int(place.partition("-")[0])
