"""What a reader asks for: every page, its first, middle and last part, every search, every call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import cast
from urllib.parse import urlencode

from redis import Redis

from devtools.bench.ops import orders
from devtools.bench.ops.orders import FullRedis
from pushes.model import Reason, State
from pushes.read import audit, cursors, runs
from pushes.store import keys

# So many different orders each search and each page of an order is about.
_SAMPLES = 40


@dataclass(frozen=True, slots=True)
class Visit:
    """What is asked for under one name: some paths, taken in turn. `by_token`: a call of the API.

    `limited`: by somebody who may see a few accounts only.
    """

    name: str
    paths: Sequence[str]
    by_token: bool = False
    limited: bool = False


def every(redis: Redis, full: FullRedis) -> list[Visit]:
    """List all visits to what stands in a full Redis. Raises RedisError."""
    chance = Random(1)  # noqa: S311 - the same each time
    dead = chance.sample(range(full.dead), min(_SAMPLES, full.dead))
    settled = [full.dead + n for n in chance.sample(range(full.settled), _SAMPLES)]
    return [
        *_pages(redis, full),
        *_lists(redis, full),
        *_searches(full, dead, settled),
        *_orders(full, dead, settled),
        *_calls(redis, full, dead, settled),
        *_of_limited(),
    ]


def _pages(redis: Redis, full: FullRedis) -> Iterator[Visit]:
    yield Visit("overview", ["/ops/"])
    yield Visit("accounts", ["/ops/accounts/"])
    yield Visit("settings", ["/ops/settings/"])
    yield Visit("replays", ["/ops/replays/"])
    yield Visit("replays, a later page", [_path("/ops/replays/", cursor=_late_run(redis))])
    yield Visit("replays, one", [f"/ops/replays/{run.id}/" for run in _some_runs(redis)])
    preview = "/ops/replays/new"
    yield Visit("a replay's preview: all", [_path(preview, act="replay")])
    yield Visit("a replay's preview: a code", [_path(preview, act="replay", code="BAD_VALUE")])
    yield Visit("audit", ["/ops/audit/"])
    yield Visit("audit, the last page", [_path("/ops/audit/", cursor=_late_entry(redis))])
    yield Visit("audit of an account", _of_accounts("/ops/audit/", full))


def _lists(redis: Redis, full: FullRedis) -> Iterator[Visit]:
    here, dead = "/ops/orders/", keys.index(State.DEAD)
    yield Visit("orders", [here])
    for state in (State.HELD, State.RETRYING, State.DEAD, State.ACKNOWLEDGED):
        yield Visit(f"orders: {state}", [_path(here, state=state)])
    for where, share in (("middle", 0.5), ("end", 0.9995)):
        index = keys.index(State.ACKNOWLEDGED)
        cursor = f"{State.ACKNOWLEDGED}~{_place(redis, index, share, backwards=True)}"
        yield Visit(f"orders: {where}", [_path(here, cursor=cursor)])
    yield Visit("orders of an account", _of_accounts(here, full))
    for state in (State.ACKNOWLEDGED, State.RETRYING):
        yield Visit(f"orders of an account: {state}", _of_accounts(here, full, state=state))
    here = "/ops/dead/"
    yield Visit("dead letters", [here])
    for where, share in (("middle", 0.5), ("end", 0.9995)):
        yield Visit(f"dead letters: {where}", [_path(here, cursor=_place(redis, dead, share))])
    yield Visit("dead letters of a reason", [_path(here, reason=reason) for reason in Reason])
    yield Visit("dead letters of an account", _of_accounts(here, full))
    yield Visit("dead letters of a code", [_path(here, code="BAD_VALUE")])
    yield Visit("dead letters of a code, none", [_path(here, code=keys.NO_CODE)])
    cause = {"reason": Reason.REJECTED, "code": "BAD_VALUE"}
    yield Visit("dead letters of a cause", _of_accounts(here, full, **cause))
    yield Visit("dead letters of a time", [_path(here, since="7d", until="6d")])
    far = _place(redis, keys.dead_of(Reason.REJECTED), 0.5)
    yield Visit("dead letters of a code: middle", [_path(here, code="BAD_VALUE", cursor=far)])


def _searches(full: FullRedis, dead: Sequence[int], settled: Sequence[int]) -> Iterator[Visit]:
    both = [*dead, *settled]

    def by(what: str, texts: Sequence[str]) -> Visit:
        return Visit(f"search: {what}", [_path("/ops/orders/", q=text) for text in texts])

    yield by("order id", [full.key(number).order_id for number in both])
    yield by("order id, unknown", ["ffffffff-1111-6222-a333-444455556666"])
    yield by("Klarna reference", [orders.klarna_reference(number) for number in settled])
    yield by("merchant reference", [orders.merchant_reference(number) for number in both])
    yield by("correlation id", [orders.correlation_id(number, 1) for number in settled])
    yield by("unknown text", ["nothing-has-this"])
    yield by("state: account:", [f"state:acknowledged account:{name}" for name in _some(full)])
    yield by("account:", [f"account:{name}" for name in _some(full)])
    yield by("code: since:", ["code:BAD_VALUE since:7d"])
    yield by("reason: until:", [f"reason:{reason} until:7d" for reason in Reason])
    yield by("since:", ["since:1h", "since:7d"])
    yield by("state: since: until:", ["state:acknowledged since:20d until:19d"])


def _orders(full: FullRedis, dead: Sequence[int], settled: Sequence[int]) -> Iterator[Visit]:
    for name, numbers in (("dead", dead), ("settled", settled)):
        yield Visit(f"order: {name}", [f"/ops{_order(full, number)}/" for number in numbers])


def _calls(
    redis: Redis, full: FullRedis, dead: Sequence[int], settled: Sequence[int]
) -> Iterator[Visit]:
    def to(what: str, paths: Sequence[str]) -> Visit:
        return Visit(f"API: {what}", [f"/ops/api/v1{path}" for path in paths], by_token=True)

    index = keys.index(State.ACKNOWLEDGED)
    deep = f"{State.ACKNOWLEDGED}~{_place(redis, index, 0.9995, backwards=True)}"
    yield to("status", ["/status"])
    yield to("accounts", ["/accounts"])
    yield to("orders", ["/orders", _path("/orders", q="state:acknowledged")])
    yield to("orders: end", [_path("/orders", cursor=deep)])
    references = [orders.merchant_reference(number) for number in settled]
    yield to("orders: search", [_path("/orders", q=text) for text in references])
    yield to("order", [_order(full, number) for number in (*dead, *settled)])
    yield to("dead letters", ["/dead-letters"])
    yield to(
        "dead letters: end",
        [_path("/dead-letters", cursor=_place(redis, keys.index(State.DEAD), 0.9995))],
    )
    yield to("dead letters of a code", [_path("/dead-letters", code="BAD_VALUE")])
    yield to("causes", ["/causes"])
    yield to("runs", ["/runs"])
    yield to("audit", ["/audit"])
    yield to("audit of an account", _of_accounts("/audit", full))


def _of_limited() -> Iterator[Visit]:
    for name in ("", "orders/", "dead/", "accounts/"):
        what = name.strip("/") or "overview"
        yield Visit(f"{what}, limited to some accounts", [f"/ops/{name}"], limited=True)


def _path(path: str, **arguments: str) -> str:
    return f"{path}?{urlencode(arguments)}"


def _of_accounts(path: str, full: FullRedis, **arguments: str) -> list[str]:
    return [_path(path, account=name, **arguments) for name in _some(full)]


def _some(full: FullRedis) -> list[str]:
    """Name an account with many orders, one with some, and one with few."""
    names = full.names
    return [names[0], names[len(names) // 2], names[-1]]


def limited_to(full: FullRedis) -> tuple[str, ...]:
    """Name the accounts of somebody who may see a few."""
    return tuple(dict.fromkeys(_some(full)))


def _order(full: FullRedis, number: int) -> str:
    key = full.key(number)
    return f"/orders/{key.account}/{key.order_id}"


def _place(redis: Redis, index: str, share: float, *, backwards: bool = False) -> str:
    """Return the cursor that leads this far into an index."""
    at = int(redis.zcard(index) * share)
    found = redis.zrange(index, at, at, desc=backwards, withscores=True)
    member, score = cast(list[tuple[bytes, float]], found)[0]
    return cursors.write((score, member.decode()))


def _some_runs(redis: Redis) -> tuple[runs.BulkRun, ...]:
    return runs.page(redis, limit=5).items


def _late_run(redis: Redis) -> str:
    return runs.page(redis, limit=100).next_cursor or ""


def _late_entry(redis: Redis) -> str:
    ((place, _),) = cast(list[tuple[bytes, object]], redis.xrange(keys.AUDIT, count=1))
    before = audit.check_place(place.decode())
    milliseconds = int(before.partition("-")[0])
    return f"{milliseconds + 1}-0"
