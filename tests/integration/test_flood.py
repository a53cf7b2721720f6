"""Floods of made-up orders: who is served first, what is refused, what is cut."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from pushes import life, policy
from pushes.accounts.sources import known_sources, source_of
from pushes.life import Origin
from pushes.model import Lane, OrderSnapshot, PushKey, State
from pushes.read import dead_letters
from pushes.read.dead_letters import Filter
from pushes.store import counters, keys, records
from pushes.store.ledger import Ledger
from service import make_app
from service.settings import load
from tests.builders import NOW, a_key, an_order_id, put
from worker.periodic import prune

KLARNA, FORGER = "198.51.100.7", "203.0.113.9"


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


def prove(ledger: Ledger, address: str, now: datetime | None = None) -> None:
    """Let an order that was pushed from there be shown by Klarna."""
    now = now or datetime.now(UTC)
    key, origin = a_key(), Origin(source=source_of(address))
    pushed = life.first_pushed(key, now, origin)
    started = life.started(pushed.after, "worker-1", "a" * 32, now)
    assert started
    done = life.reported(life.acknowledged(started.after, now), (), OrderSnapshot("X"), now)
    for change in (pushed, started, done):
        assert ledger.commit_many([change]) == [True]


def test_a_sender_is_proven_by_an_order_that_klarna_shows(ledger: Ledger) -> None:
    prove(ledger, KLARNA, NOW)

    known = known_sources(ledger.redis, "default", NOW)

    assert known.trusted == {source_of(KLARNA)}
    assert known_sources(ledger.redis, "other", NOW).trusted == set()
    assert known_sources(ledger.redis, "default", NOW + timedelta(days=31)).trusted == set()


def test_strangers_wait_apart_once_klarna_is_known(ledger: Ledger, redis_url: str) -> None:
    before = lane_of(ledger, push(app(redis_url), FORGER))
    prove(ledger, KLARNA)
    web = app(redis_url)

    assert before is Lane.FRESH
    assert lane_of(ledger, push(web, KLARNA)) is Lane.FRESH
    assert lane_of(ledger, push(web, FORGER)) is Lane.UNKNOWN


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
    assert counters.totals(ledger.redis) == {"unverified_refused": 1}
    assert ledger.redis.zcard(keys.unknown("default")) == 1


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


def test_it_cuts_nothing_while_there_are_few(ledger: Ledger) -> None:
    put(ledger, State.DEAD)

    assert prune.cut_unknown(ledger) == 0
    assert counters.totals(ledger.redis) == {}


def test_an_order_that_was_cut_is_taken_in_anew(ledger: Ledger) -> None:
    (dead,) = [put(ledger, State.DEAD)]
    prune.cut_unknown(ledger, keep=0)

    again = ledger.accept(dead.key, NOW)

    assert (again.state, again.pushes) == (State.QUEUED, 1)
