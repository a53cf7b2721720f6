import re
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from rq.suspension import suspend
from rq.worker import SimpleWorker

from pushes.accounts.holds import Holds
from pushes.model import HoldReason, State
from pushes.read import accounts_at_work
from pushes.read.unreadable import Unreadable
from pushes.store import keys, rq_job
from pushes.store.ledger import Ledger
from service import deps, make_app
from service.metrics.collector import Everything
from service.settings import load
from tests.builders import NOW, a_key, an_order_id, put
from tests.documents import DOCUMENTS, METRICS, table, words
from worker.periodic.heartbeat import Heartbeat


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def scrape(redis_url: str) -> dict[str, float]:
    answer = make_app(load({"REDIS_URL": redis_url})).test_client().get("/metrics")
    assert answer.status_code == 200
    lines = re.findall(r"^(klarna_ack_[^ ]+) (\S+)$", answer.text, re.MULTILINE)
    return {name: float(value) for name, value in lines}


def test_it_counts_the_pushes_in_each_state(ledger: Ledger, redis_url: str) -> None:
    for state in State:
        if not state.is_settled:
            put(ledger, state)

    shown = scrape(redis_url)

    assert {state: shown[f'klarna_ack_pushes{{state="{state}"}}'] for state in State} == {
        state: float(not state.is_settled) for state in State
    }


def test_it_tells_which_account_is_held_and_why(ledger: Ledger, redis_url: str) -> None:
    put(ledger, State.QUEUED, a_key("eu"))
    put(ledger, State.QUEUED, a_key("us"))
    Holds(ledger.redis).begin("eu", HoldReason.CREDENTIALS, "HTTP 401")

    held = {name: value for name, value in scrape(redis_url).items() if "account_held" in name}

    assert held == {'klarna_ack_account_held{account="eu",reason="credentials"}': 1.0}


def test_it_counts_orders_in_a_row_that_klarna_does_not_know(
    ledger: Ledger, redis_url: str
) -> None:
    put(ledger, State.QUEUED)
    Holds(ledger.redis).unknown("default")

    assert scrape(redis_url)['klarna_ack_account_unknown_in_a_row{account="default"}'] == 1.0


def test_it_counts_as_workers_only_those_that_can_acknowledge(
    redis_client: Redis, redis_url: str
) -> None:
    ours, other = (SimpleWorker([rq_job.QUEUE], connection=redis_client) for _ in range(2))
    for worker in (ours, other):
        worker.register_birth()  # type: ignore[no-untyped-call]  # RQ gives it no types
    redis_client.hset(ours.key, keys.WORKER_VERSION_FIELD, "0.1.0")
    suspend(redis_client)

    shown = scrape(redis_url)

    assert shown["klarna_ack_workers"] == 1
    assert shown["klarna_ack_other_workers"] == 1
    assert shown["klarna_ack_suspended"] == 1
    assert shown['klarna_ack_workers_by_version{version="0.1.0"}'] == 1


def test_it_tells_what_workers_tell_with_their_heartbeats(ledger: Ledger, redis_url: str) -> None:
    early = NOW.timestamp()
    for slots, busy, at in ((128, 5, early + 60), (64, 1, early)):
        heartbeat = Heartbeat(ledger.redis, ledger.rq, slots=slots)
        heartbeat.register_birth()  # type: ignore[no-untyped-call]  # as above
        heartbeat.beat(busy, 0, {"due": datetime.fromtimestamp(at, UTC)})

    shown = scrape(redis_url)

    assert shown["klarna_ack_worker_slots"] == 192
    assert shown["klarna_ack_worker_slots_busy"] == 6
    last = 'klarna_ack_periodic_task_last_success_timestamp_seconds{task="due"}'
    assert shown[last] == early


def test_it_tells_how_long_each_account_waits(ledger: Ledger, redis_url: str) -> None:
    now = datetime.now(UTC)
    for account, minutes in (("eu", 90), ("us", 10)):
        at = now - timedelta(minutes=minutes)
        put(ledger, State.QUEUED, a_key(account), at)
        put(ledger, State.RETRYING, a_key(account), at + timedelta(minutes=5))

    shown = scrape(redis_url)

    ages = {
        name: shown[f'klarna_ack_account_oldest_waiting_seconds{{account="{name}"}}']
        for name in ("eu", "us")
    }
    assert ages == {"eu": pytest.approx(5400, abs=5), "us": pytest.approx(600, abs=5)}
    assert {
        state: shown[f'klarna_ack_account_waiting{{account="eu",state="{state}"}}']
        for state in ("queued", "held", "running", "retrying")
    } == {"queued": 1, "held": 0, "running": 0, "retrying": 1}


def test_of_many_accounts_it_shows_those_that_wait_longest(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    for number in range(6):
        put(ledger, State.QUEUED, a_key(f"shop-{number}"), now - timedelta(minutes=number))

    found = accounts_at_work.read(ledger.redis, Unreadable(), at_most=2)

    assert list(found.accounts) == ["shop-5", "shop-4"]
    assert found.left_out == 4


def test_every_web_process_tells_of_the_requests_of_all(redis_url: str) -> None:
    for app in (make_app(load({"REDIS_URL": redis_url})) for _ in range(2)):
        client = app.test_client()
        statuses = [
            client.post(f"/push/{an_order_id()}").status_code,
            client.post("/x").status_code,
        ]
        client.get("/healthz")
        assert statuses == [200, 404]
        with app.app_context():
            deps.current().close()

    shown = scrape(redis_url)

    name = "klarna_ack_http_request_duration_seconds"
    counts = {key: n for key, n in shown.items() if key.startswith(f"{name}_count") and n}
    assert counts == {
        f'{name}_count{{endpoint="intake.take",status="200"}}': 2,
        f'{name}_count{{endpoint="none",status="404"}}': 2,
    }


def test_the_documents_list_every_metric(ledger: Ledger) -> None:
    families = [
        (
            family.name + "_total" * (family.type == "counter"),
            family.type,
            ", ".join(f"`{label}`" for label in family._labelnames),  # type: ignore[attr-defined]  # noqa: SLF001 - it has no other name
            family.documentation,
        )
        for family in Everything(ledger).collect()
    ]
    listed = [
        (words(name)[0], kind, labels, meaning)
        for name, kind, labels, meaning in table(METRICS, "| Metric | Type | Labels | Meaning |")
    ]
    assert listed == families
    names = {name for name, *_ in families}
    mentioned = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"\bklarna_ack_[a-z_]+", document.read_text())
    }
    assert mentioned <= {*names, "klarna_ack_events"}  # so the changelog calls the family
