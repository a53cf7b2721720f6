"""HEARTBEAT_URL is called while all is well, by one worker, and not while something is wrong."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests
import responses
from pydantic import SecretStr
from redis import Redis
from structlog.testing import capture_logs

from pushes.accounts.holds import Holds
from pushes.model import HoldReason, State
from pushes.read import alarms
from pushes.read.alarms import Alarm
from pushes.store import keys
from pushes.store.ledger import Ledger
from tests.builders import put
from worker.periodic.heartbeat import Heartbeat
from worker.periodic.ping import Ping

URL = "https://checks.example/a-secret"


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    ledger = Ledger(redis_client)
    worker = Heartbeat(redis_client, ledger.rq)
    worker.register_birth()  # type: ignore[no-untyped-call]  # RQ gives it no types
    worker.beat(0, 0)
    return ledger


@pytest.fixture
def server() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        server.get(URL, status=200)
        yield server


def scan(ledger: Ledger, ping: Ping | None = None) -> list[tuple[str, object]]:
    """Let a minute pass, then look; return what is logged."""
    ledger.redis.delete(keys.PING_LOCK)
    with capture_logs() as logged:
        (ping or Ping(ledger, SecretStr(URL))).scan(datetime.now(UTC))
    assert URL not in str(logged)
    return [(line["event"], line.get("troubles", line.get("error"))) for line in logged]


def test_one_of_the_workers_calls_each_minute(
    ledger: Ledger, server: responses.RequestsMock
) -> None:
    put(ledger, State.QUEUED, now=datetime.now(UTC))
    for _ in range(3):
        Ping(ledger, SecretStr(URL)).scan(datetime.now(UTC))
    assert len(server.calls) == 1
    assert 40 < ledger.redis.ttl(keys.PING_LOCK) <= 50

    assert scan(ledger) == []
    assert len(server.calls) == 2


def test_without_a_url_nobody_is_called(ledger: Ledger, server: responses.RequestsMock) -> None:
    assert scan(ledger, Ping(ledger, None)) == []
    assert len(server.calls) == 0


WRONG: dict[str, Callable[[Ledger], object]] = {
    "account_held:default": lambda ledger: (
        put(ledger, State.QUEUED, now=datetime.now(UTC)),
        Holds(ledger.redis).begin("default", HoldReason.OUTAGE, "HTTP 503"),
    ),
    "order_waits_long": lambda ledger: put(
        ledger, State.RETRYING, now=datetime.now(UTC) - timedelta(hours=5)
    ),
    "deadline_near": lambda ledger: put(
        ledger, State.DEAD, now=datetime.now(UTC) - timedelta(hours=37)
    ),
    "pushes_not_reaching_us": lambda ledger: alarms.set_off(
        ledger.redis, Alarm.PUSHES_NOT_REACHING_US, datetime.now(UTC)
    ),
    "suspended": lambda ledger: ledger.redis.set("rq:suspended", 1),
    "no_worker_takes_orders": lambda ledger: ledger.redis.delete("rq:workers:klarna-ack"),
    "unreadable": lambda ledger: ledger.redis.set(keys.COUNTERS, "x"),
}


@pytest.mark.parametrize("trouble", WRONG)
def test_it_is_not_called_while_something_is_wrong_and_that_is_said_once(
    trouble: str, ledger: Ledger, server: responses.RequestsMock
) -> None:
    ping = Ping(ledger, SecretStr(URL))
    WRONG[trouble](ledger)

    assert scan(ledger, ping) == [("ping.withheld", [trouble])]
    assert scan(ledger, ping) == []
    assert len(server.calls) == 0


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"body": requests.ConnectTimeout("to a-secret")}, "ConnectTimeout"),
        ({"status": 500}, "HTTP 500"),
        ({"status": 302, "headers": {"Location": URL}}, "HTTP 302"),
    ],
)
def test_a_call_that_is_not_taken_is_said_once_and_made_again(
    answer: dict[str, object], error: str, ledger: Ledger, server: responses.RequestsMock
) -> None:
    ping = Ping(ledger, SecretStr(URL))
    server.replace(responses.GET, URL, **answer)  # type: ignore[arg-type]  # a row of the table

    assert scan(ledger, ping) == [("ping.not_taken", error)]
    assert not ledger.redis.exists(keys.PING_LOCK)
    assert scan(ledger, ping) == []
    assert len(server.calls) == 2

    server.replace(responses.GET, URL, status=200)
    assert scan(ledger, ping) == []
    assert ledger.redis.exists(keys.PING_LOCK)
