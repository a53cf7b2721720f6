"""What somebody else may write where an order of ours stands in Redis."""

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from hypothesis import strategies as st
from redis import Redis
from rq.executions import ExecutionRegistry
from rq.results import Result

from pushes.model import HoldReason, Lane, PushKey, Reason, State
from pushes.store import keys
from pushes.store.codec import encode
from tests.builders import a_push

Spoil = Callable[[Redis, PushKey], object]

#: The keys of one order, by what they hold.
OWN_KEYS: Mapping[str, Callable[[PushKey], str]] = MappingProxyType(
    {
        "record": keys.record,
        "timeline": keys.timeline,
        "job": lambda key: f"rq:job:{keys.job_id(key)}",
        "results": lambda key: str(Result.get_key(keys.job_id(key))),  # type: ignore[no-untyped-call]
        "executions": lambda key: ExecutionRegistry.key_template.format(keys.job_id(key)),
    }
)

# Every field of a record, in the long form and in the short one.
_FIELDS = sorted(
    {name for state in State for name in encode(a_push(state, after_failure=True, discarded=True))}
    | {f"order.{name}" for name in ("status", "order_amount", "expires_at", "purchase_currency")}
    | set("tnasfukxcr12")
    | {"rev", "run", "reason", "lane", "fraud_event", "fraud_seen", "execution_id", "worker"}
    | {"next_attempt_at", "idempotent_since", "crashes", "only_notified", "commit", "colour"}
)
_JOB_FIELDS = ("status", "data", "timeout", "retries_left", "created_at", "enqueued_at", "meta")
_WORDS = (
    *(*map(str, State), *map(str, Reason), *map(str, HoldReason), *map(str, Lane)),
    *("", "0", "1", "-1", "9" * 5000, "inf", "nan", "1e99", "253402300800.000", "1772366400.000"),
    *("1,2,3", ",,,,,,,,", "1772366400000,,,,,,,", "default_x", "\x00", "{", "NaN", "\ud7ff"),
)
_TYPES = ("string", "list", "set", "zset", "stream", "hash", "none")

words = (
    st.sampled_from(_WORDS).map(str.encode)
    | st.binary(max_size=40)
    | st.integers().map(lambda number: str(number).encode())
    | st.floats().map(lambda number: str(number).encode())
)
_names = st.sampled_from(_FIELDS).map(str.encode) | st.binary(min_size=1, max_size=12)
_entries = words | st.dictionaries(
    st.sampled_from(["at", "event", "call", "status", "ms", "detail", "by", "error_code"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([[]]),
).map(lambda entry: json.dumps(entry).encode())


def _fields_set(name: str, content: Mapping[bytes, bytes]) -> Spoil:
    return lambda redis, key: redis.hset(OWN_KEYS[name](key), mapping=dict(content))  # type: ignore[arg-type]  # bytes are fine


def _fields_dropped(names: Sequence[bytes]) -> Spoil:
    return lambda redis, key: redis.hdel(keys.record(key), *names)


def entry_added(entry: bytes) -> Spoil:
    return lambda redis, key: redis.rpush(keys.timeline(key), entry)


def _replaced(name: str, kind: str, content: Sequence[bytes]) -> Spoil:
    def spoil(redis: Redis, key: PushKey) -> None:
        place = OWN_KEYS[name](key)
        redis.delete(place)
        match kind:
            case "string":
                redis.set(place, b"".join(content))
            case "list":
                redis.rpush(place, *content)
            case "set":
                redis.sadd(place, *content)
            case "zset":
                redis.zadd(place, dict.fromkeys(content, 1.0))
            case "stream":
                redis.xadd(place, {b"field": content[0]})
            case "hash":
                redis.hset(place, mapping={word: word for word in content})

    return spoil


spoils: st.SearchStrategy[Spoil] = (
    st.builds(
        _fields_set, st.just("record"), st.dictionaries(_names, words, min_size=1, max_size=4)
    )
    | st.builds(
        _fields_set,
        st.just("job"),
        st.dictionaries(st.sampled_from(_JOB_FIELDS).map(str.encode), words, min_size=1),
    )
    | st.builds(_fields_dropped, st.lists(_names, min_size=1, max_size=4))
    | st.builds(entry_added, _entries)
    | st.builds(
        _replaced,
        st.sampled_from(sorted(OWN_KEYS)),
        st.sampled_from(_TYPES),
        st.lists(words, min_size=1, max_size=3),
    )
)
