"""What the overview draws of the last hour, day and week, and the page of the workers."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from redis import Redis

from pushes.access.principals import UserRole
from pushes.accounts.serving import Serving, Share
from pushes.model import State
from pushes.store import keys
from pushes.store.ledger import Ledger
from tests.builders import put
from tests.integration.test_console import add, make, sign_in
from worker.periodic.heartbeat import Heartbeat
from worker.periodic.samples import Samples


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


@pytest.fixture
def app(redis_client: Redis, redis_url: str) -> Flask:
    add(redis_client, "anna", UserRole.VIEWER)
    add(redis_client, "eva", UserRole.VIEWER, "eu")
    return make(redis_url)


def test_it_says_that_there_is_nothing_to_draw_yet(app: Flask) -> None:
    page = sign_in(app, "anna").get("/ops/").text

    assert "Nothing to draw yet" in page
    assert "<figure" not in page


def test_it_draws_the_range_that_is_asked_for(app: Flask, ledger: Ledger) -> None:
    now = datetime.now(UTC)
    for minutes in (2, 1):
        at = now - timedelta(minutes=minutes)
        Samples(ledger.redis, lambda at=at: at).scan()  # type: ignore[misc]  # mypy knows no default
        put(ledger, State.ACKNOWLEDGED)
    client = sign_in(app, "anna")

    hour, week = client.get("/ops/").text, client.get("/ops/?range=week").text

    assert hour.count('<figure class="chart"') == week.count('<figure class="chart"') == 2
    assert "2 pushes and 2 acknowledgements in the last hour." in hour
    assert "7 d ago" in week
    assert ("style=" in hour, "<script>" in hour) == (False, False)
    answer = client.get("/ops/?range=year")
    assert (answer.status_code, "use hour, day, week" in answer.text) == (400, True)


def test_it_draws_no_totals_for_whoever_is_limited(app: Flask, ledger: Ledger) -> None:
    Samples(ledger.redis).scan()

    html = sign_in(app, "eva").get("/ops/").text

    assert ('class="chart"' in html, "There are no charts here" in html) == (False, True)


def test_it_lists_workers_and_the_accounts_that_the_reader_may_see(
    app: Flask, ledger: Ledger
) -> None:
    serving = Serving(ledger.redis, [Share.of("eu", 10), Share.of("us", 10)])
    serving.announce()
    ours = Heartbeat(ledger.redis, ledger.rq, slots=8)
    ours.register_birth()  # type: ignore[no-untyped-call]  # RQ gives it no types
    ours.beat(3, 0, serves=serving.key)
    ledger.redis.hset(ours.key, keys.WORKER_SKEW_FIELD, "-61.5")

    page = sign_in(app, "anna").get("/ops/workers/").text

    assert "3 of 8" in page
    assert "eu, us" in page
    assert "-61.5 s: takes no work" in page
    assert "eu, us" not in sign_in(app, "eva").get("/ops/workers/").text


def test_it_says_that_no_worker_is_alive(app: Flask) -> None:
    assert "No worker is alive" in sign_in(app, "anna").get("/ops/workers/").text
