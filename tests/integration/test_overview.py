"""How everything is, read from a Redis that may hold what nobody of us wrote."""

import re
from collections.abc import Callable

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from devtools.local.embedded import EmbeddedServer
from pushes.accounts.holds import Holds
from pushes.model import HoldReason, State
from pushes.read import by_account, overview
from pushes.read.alarms import Alarm
from pushes.store import keys
from pushes.store.ledger import Ledger
from service import make_app
from service.settings import load
from tests.builders import NOW, a_key, put
from tests.integration.test_cli_support import answer, run


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def metrics(redis_url: str) -> dict[str, float]:
    answered = make_app(load({"REDIS_URL": redis_url})).test_client().get("/metrics")
    assert answered.status_code == 200
    lines = re.findall(r"^(klarna_ack_[^ ]+) (\S+)$", answered.text, re.MULTILINE)
    return {name: float(value) for name, value in lines}


def hold(redis: Redis, **fields: str | bytes) -> None:
    redis.sadd(keys.HOLDS, "default")
    for name, value in fields.items():
        redis.hset(keys.hold("default"), name, value)


# What somebody may do to Redis, and how the sentence about it begins.
DAMAGES: dict[str, tuple[Callable[[Redis], object], str]] = {
    "an account's name": (
        lambda redis: redis.sadd(keys.ACCOUNTS, b"caf\xe9"),
        r"klarna-ack:accounts holds b'caf\xe9', which names no account",
    ),
    "the accounts": (
        lambda redis: (redis.delete(keys.ACCOUNTS), redis.set(keys.ACCOUNTS, "x")),
        "klarna-ack:accounts is a key of a wrong type",
    ),
    "a hold": (
        lambda redis: hold(redis, reason="bored"),
        "klarna-ack:hold:default cannot be read (ValueError: 'bored' is not a valid HoldReason)",
    ),
    "a hold's bytes": (
        lambda redis: hold(redis, reason="outage", by=b"\xff"),
        "klarna-ack:hold:default cannot be read (UnicodeDecodeError: ",
    ),
    "a held account's name": (
        lambda redis: redis.set(keys.HOLDS, 1),
        "klarna-ack:holds is a key of a wrong type",
    ),
    "a pause": (
        lambda redis: redis.zadd(keys.PAUSES, {b"\xff": 99_999_999_999}),
        "klarna-ack:pauses cannot be read (UnicodeDecodeError: ",
    ),
    "a count": (
        lambda redis: redis.set(keys.unknown_in_a_row("default"), "9" * 5000),
        "klarna-ack:unknown-in-a-row:default cannot be read (ValueError: Exceeds the limit",
    ),
    "a counter": (
        lambda redis: redis.hset(keys.COUNTERS, "orphan_requeued", "9" * 400),
        "klarna-ack:counters cannot be read (ValueError: the number has more than 63 bits)",
    ),
    "the re-sends": (
        lambda redis: redis.hset(keys.RESEND_TOTALS, "seen", "some"),
        "klarna-ack:resends:totals cannot be read (ValueError: invalid literal for int()",
    ),
    "an alarm": (
        lambda redis: redis.set(keys.alarm(Alarm.PUSHES_NOT_REACHING_US), "now"),
        "an alarm cannot be read (ValueError: could not convert string to float: 'now')",
    ),
    "an index": (
        lambda redis: (redis.delete(keys.index(State.DEAD)), redis.set(keys.index(State.DEAD), 1)),
        "klarna-ack:state:dead is a key of a wrong type",
    ),
    "a deadline": (
        lambda redis: redis.zadd(keys.index(State.QUEUED), {"default_x": float("-inf")}),
        "the first of klarna-ack:state:queued cannot be read (OverflowError: ",
    ),
    "the deadlines": (
        lambda redis: (redis.delete(keys.UNACKNOWLEDGED), redis.hset(keys.UNACKNOWLEDGED, "x", 1)),
        "klarna-ack:unacknowledged is a key of a wrong type",
    ),
    "the workers": (
        lambda redis: redis.set("rq:workers:klarna-ack", 1),
        "rq:workers:klarna-ack is a key of a wrong type",
    ),
    "a worker": (
        lambda redis: (redis.sadd("rq:workers:klarna-ack", "x"), redis.set("x", 1, ex=999)),
        "x is a key of a wrong type",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_it_shows_everything_but_what_cannot_be_read(
    ledger: Ledger, redis_client: Redis, redis_url: str, damage: str
) -> None:
    put(ledger, State.RETRYING)
    put(ledger, State.DEAD)
    damaging, beginning = DAMAGES[damage]
    damaging(redis_client)

    shown = answer(run(redis_url, "status", "--json"))

    (sentence,) = shown["unreadable"]
    assert sentence.startswith(beginning)
    assert shown["states"]["retrying"] == 1
    assert f"Not counted here: {sentence}." in run(redis_url, "status").stdout
    measured = metrics(redis_url)
    assert measured["klarna_ack_unreadable"] == 1
    assert measured['klarna_ack_pushes{state="retrying"}'] == 1


def test_it_takes_no_refusal_for_a_fact_that_cannot_be_read(redis_client: Redis) -> None:
    redis_client.acl_setuser("blind", enabled=True, nopass=True, keys="*", commands=["+zcount"])
    port = redis_client.connection_pool.connection_kwargs["port"]

    with (
        Redis(port=port, username="blind", password="any") as blind,
        pytest.raises(NoPermissionError),
    ):
        overview.read(Ledger(blind), NOW)
    redis_client.acl_deluser("blind")


def test_it_counts_by_account_what_is_not_settled(ledger: Ledger) -> None:
    for state in State:
        put(ledger, state, a_key("eu"))
    put(ledger, State.DEAD, a_key("us"))

    seen = overview.read(ledger, NOW, ["idle"])

    none = dict.fromkeys(by_account.STATES, 0)
    assert {name: seen.by_account.of(name) for name in seen.standings} == {
        "eu": dict.fromkeys(by_account.STATES, 1),
        "idle": none,
        "us": {**none, State.DEAD: 1},
    }
    assert not seen.by_account.partial


def test_it_says_when_it_has_not_counted_all_by_account(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_account, "MEMBERS_READ", 3)
    monkeypatch.setattr(by_account, "_CHUNK", 2)
    for state in (State.RETRYING, State.RETRYING, State.RETRYING, State.RETRYING, State.DEAD):
        put(ledger, state, a_key("eu"))
    put(ledger, State.ACKNOWLEDGED, a_key("us"))

    seen = overview.read(ledger, NOW)

    assert seen.by_account.partial
    counts = seen.by_account.of("eu")
    assert (counts[State.RETRYING], counts[State.DEAD]) == (3, 1)


def test_it_is_read_from_a_redis_that_is_full() -> None:
    with EmbeddedServer() as server, Redis.from_url(server.url) as redis:
        put(Ledger(redis), State.QUEUED)
        Holds(redis).begin("default", HoldReason.OPERATOR, "moving")
        redis.config_set("maxmemory", 1)

        shown = answer(run(server.url, "status", "--json"))

    assert (shown["states"]["queued"], shown["accounts"]["default"]["held"]) == (1, "operator")
