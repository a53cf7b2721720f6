"""Floods of made-up orders: who is served first, what is refused, what is cut."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from structlog.testing import capture_logs

from pushes import life, policy
from pushes.accounts import sources
from pushes.accounts.sources import KLARNA_ADDRESSES, KnownSources, SourceNames, known_sources
from pushes.model import TRUSTED, Change, Lane, OrderSnapshot, PushKey, State
from pushes.origin import Origin
from pushes.read import dead_letters
from pushes.read.dead_letters import Filter
from pushes.store import counters, keys, records
from pushes.store.counted import refusals
from pushes.store.counted.refusals import RefusalReason
from pushes.store.ledger import Ledger
from service import deps, make_app
from service.settings import load
from tests.builders import NOW, a_key, an_order_id, put
from worker.periodic import prune

KLARNA, SHOP, BUYER, FORGER = KLARNA_ADDRESSES[0], "198.51.100.7", "192.0.2.4", "203.0.113.9"
source_of = SourceNames().of


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def app(redis_url: str, **env: str) -> Flask:
    return make_app(load({"REDIS_URL": redis_url, **env}))


def push(web: Flask, address: str, **headers: str) -> Any:  # noqa: ANN401 - a test client's answer
    return web.test_client().post(
        f"/push/{an_order_id()}", environ_base={"REMOTE_ADDR": address}, headers=headers
    )


def lane_of(ledger: Ledger, answer: Any) -> Lane:  # noqa: ANN401 - a test client's answer
    assert answer.status_code == 200
    record = records.get(ledger.redis, PushKey("default", answer.json["order_id"]))
    assert record
    return record.lane


def prove(ledger: Ledger, address: str, orders: int = 1) -> None:
    """Let orders that were pushed from there be shown by Klarna."""
    for _ in range(orders):
        started = begin(ledger, address)
        done = life.acknowledged(started.after, NOW)
        assert ledger.commit_many([life.reported(done, (), OrderSnapshot("X"), NOW)]) == [True]


def make_up(ledger: Ledger, address: str, orders: int) -> None:
    """Let orders that were pushed from there be unknown to Klarna."""
    for _ in range(orders):
        started = begin(ledger, address)
        again = life.retrying(started.after, NOW, NOW, error="HTTP 404", not_found=True)
        assert ledger.commit_many([again]) == [True]


def begin(ledger: Ledger, address: str) -> Change:
    pushed = life.first_pushed(a_key(), NOW, Origin(source=source_of(address)))
    started = life.started(pushed.after, "worker-1", "a" * 32, NOW)
    assert started
    for change in (pushed, started):
        assert ledger.commit_many([change]) == [True]
    return started


def lanes(ledger: Ledger, redis_url: str, *addresses: str, **env: str) -> list[Lane]:
    return [lane_of(ledger, push(app(redis_url, **env), address)) for address in addresses]


def test_klarnas_published_addresses_are_trusted_from_the_start(
    ledger: Ledger, redis_url: str
) -> None:
    before = lanes(ledger, redis_url, KLARNA, FORGER)
    prove(ledger, KLARNA)

    assert before == [Lane.FRESH] * 2  # nobody has pushed a real order yet: all are alike
    after = lanes(ledger, redis_url, *KLARNA_ADDRESSES, FORGER)
    assert after == [Lane.FRESH] * len(KLARNA_ADDRESSES) + [Lane.UNKNOWN]


def test_a_buyer_who_pushes_his_own_orders_proves_nothing(ledger: Ledger, redis_url: str) -> None:
    prove(ledger, BUYER, policy.PROVEN_BY_ORDERS - 1)

    assert not known_sources(ledger.redis, "default").trusts(source_of(BUYER))
    assert lanes(ledger, redis_url, KLARNA, FORGER) == [Lane.FRESH] * 2
    prove(ledger, KLARNA)
    assert lanes(ledger, redis_url, KLARNA, BUYER) == [Lane.FRESH, Lane.UNKNOWN]


def test_a_network_is_proven_by_many_orders_and_loses_it_by_made_up_ones(ledger: Ledger) -> None:
    def is_trusted() -> bool:
        return known_sources(ledger.redis, "default").trusts(source_of(SHOP))

    prove(ledger, SHOP, policy.PROVEN_BY_ORDERS)
    proven = is_trusted()
    make_up(ledger, SHOP, 1)

    assert (proven, is_trusted()) == (True, False)
    prove(ledger, SHOP, policy.MADE_UP_COSTS)
    assert is_trusted()
    assert known_sources(ledger.redis, "other") == KnownSources(frozenset(), False, 0)  # noqa: FBT003


def test_no_network_has_more_to_lose_than_the_most(ledger: Ledger) -> None:
    prove(ledger, SHOP, policy.PROVEN_AT_MOST + 10)

    earned = ledger.redis.zscore(keys.sources("default"), str(source_of(SHOP)))
    assert earned == policy.PROVEN_AT_MOST


def test_made_up_orders_from_anywhere_leave_nothing_behind(ledger: Ledger) -> None:
    make_up(ledger, FORGER, 3)

    assert ledger.redis.exists(keys.sources("default")) == 0


def test_addresses_of_the_merchants_own_are_trusted_too(ledger: Ledger, redis_url: str) -> None:
    prove(ledger, KLARNA)
    named = lanes(ledger, redis_url, SHOP, FORGER, PUSHES_FROM="198.51.100.0/24, 2001:db8::1")

    assert named == [Lane.FRESH, Lane.UNKNOWN]


def test_it_believes_the_proxies_it_is_told_of_and_no_others(
    ledger: Ledger, redis_url: str
) -> None:
    prove(ledger, KLARNA)
    chain = {"X-Forwarded-For": f"{KLARNA}, {FORGER}"}  # the first one is the forger's own word

    assert lane_of(ledger, push(app(redis_url), KLARNA, **chain)) is Lane.FRESH
    behind_one = app(redis_url, PROXY_HOPS="1")
    assert lane_of(ledger, push(behind_one, "10.0.0.1", **chain)) is Lane.UNKNOWN


def test_it_refuses_strangers_when_too_many_of_them_wait(
    ledger: Ledger, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "MAX_UNKNOWN_WAITING", 1)
    prove(ledger, KLARNA)
    push(app(redis_url), FORGER)
    web = app(redis_url)

    refused, accepted = [push(web, FORGER) for _ in range(2)], push(web, KLARNA)

    assert [answer.status_code for answer in refused] == [503, 503]
    assert refused[0].headers["Retry-After"]
    assert refused[0].json["detail"] == (
        "Too many pushes of unknown senders wait. Send it again later."
    )
    assert accepted.status_code == 200
    with web.app_context():
        deps.current().close()
    assert refusals.totals(ledger.redis) == {("default", RefusalReason.UNVERIFIED): 2}
    assert ledger.redis.zcard(keys.unknown("default")) == 1


@pytest.mark.parametrize("proven", [(), (SHOP,), (SHOP, KLARNA)])
def test_a_flood_of_one_network_is_bounded_and_delays_no_other(
    ledger: Ledger, redis_url: str, monkeypatch: pytest.MonkeyPatch, proven: tuple[str, ...]
) -> None:
    monkeypatch.setattr(policy, "FRESH_OF_A_NETWORK", 2)
    monkeypatch.setattr(policy, "MAX_WAITING_OF_A_NETWORK", 4)
    for address in proven:
        prove(ledger, address, policy.PROVEN_BY_ORDERS)
    web, another = app(redis_url), app(redis_url)

    flood = [push(web, SHOP) for _ in range(3)]
    flood += [push(another, SHOP) for _ in range(2)]

    assert [answer.status_code for answer in flood] == [200] * 4 + [503]
    assert [lane_of(ledger, answer) for answer in flood[:4]] == [
        *(Lane.FRESH, Lane.FRESH),
        *(Lane.BACKLOG, Lane.BACKLOG),
    ]
    assert [lane_of(ledger, push(web, KLARNA)) for _ in range(5)] == [Lane.FRESH] * 5
    other = Lane.UNKNOWN if proven else Lane.FRESH
    assert lane_of(ledger, push(web, FORGER)) is other
    with another.app_context():
        deps.current().close()  # it hands on what it has refused now, and not in another test


def test_what_is_settled_counts_as_waiting_of_its_network_no_more(ledger: Ledger) -> None:
    def waiting() -> int:
        return sources.count_waiting(ledger.redis, "default", str(source_of(SHOP)))

    started = begin(ledger, SHOP)
    begun = waiting()
    assert ledger.commit_many([life.not_needed(started.after, NOW)]) == [True]
    prove(ledger, KLARNA)

    assert (begun, waiting()) == (1, 0)
    assert ledger.redis.keys("klarna-ack:waiting-of:*") == []


def test_what_is_verified_or_dead_counts_as_a_waiting_stranger_no_more(ledger: Ledger) -> None:
    origin = Origin(source=source_of(FORGER), lane=Lane.UNKNOWN)
    pushed = life.first_pushed(a_key(), NOW, origin)
    assert ledger.commit_many([pushed]) == [True]
    waiting = ledger.redis.zcard(keys.unknown("default"))
    started = life.started(pushed.after, "worker-1", "a" * 32, NOW)
    assert started
    done = life.not_needed(started.after, NOW)

    assert ledger.commit_many([started]) == [True]
    assert ledger.commit_many([done]) == [True]

    assert waiting == 1
    assert ledger.redis.zcard(keys.unknown("default")) == 0


def test_it_cuts_the_oldest_unknown_orders_and_leaves_nothing_of_them(ledger: Ledger) -> None:
    dead = [put(ledger, State.DEAD, now=NOW + timedelta(minutes=n)) for n in range(5)]
    others = put(ledger, State.RETRYING)

    assert prune.cut_unknown(ledger, keep=2) == 3

    kept = dead_letters.page(ledger.redis, Filter()).items
    assert [push.key for push in kept] == [push.key for push in dead[3:]]
    assert counters.totals(ledger.redis) == {"unknown_cut": 3}
    assert records.get(ledger.redis, others.key) == others
    assert ledger.rq.queue.failed_job_registry.get_job_count(cleanup=False) == 2
    names = [name.decode() for name in ledger.redis.scan_iter()]
    assert [name for name in names if dead[0].key.order_id in name] == []
    assert ledger.redis.zscore(keys.RESENDS, keys.job_id(dead[0].key)) is None
    assert ledger.redis.zcard(keys.RESENDS) == 3


def test_it_cuts_no_order_that_a_trusted_source_pushed_and_names_what_it_cuts(
    ledger: Ledger,
) -> None:
    spared = put(ledger, State.DEAD)
    ledger.redis.hset(keys.record(spared.key), "source", TRUSTED)
    cut = [put(ledger, State.DEAD, now=NOW + timedelta(minutes=n)) for n in (1, 2)]

    with capture_logs() as logged:
        assert prune.cut_unknown(ledger, keep=0) == 2

    kept = dead_letters.page(ledger.redis, Filter()).items
    assert [push.key for push in kept] == [spared.key]
    named = [line["order_ids"] for line in logged if line["event"] == "dead_letters.cut_orders"]
    assert named == [[push.key.order_id for push in cut]]


def test_it_cuts_nothing_while_there_are_few(ledger: Ledger) -> None:
    put(ledger, State.DEAD)

    assert prune.cut_unknown(ledger) == 0
    assert counters.totals(ledger.redis) == {}


def test_an_order_that_was_cut_is_taken_in_anew(ledger: Ledger) -> None:
    (dead,) = [put(ledger, State.DEAD)]
    prune.cut_unknown(ledger, keep=0)

    again = ledger.accept(dead.key, NOW)

    assert (again.state, again.pushes) == (State.QUEUED, 1)
