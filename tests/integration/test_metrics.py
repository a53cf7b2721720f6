import re

import pytest
from redis import Redis
from rq.suspension import suspend
from rq.worker import SimpleWorker

from pushes.accounts.holds import Holds
from pushes.model import HoldReason, State
from pushes.store import keys, rq_job
from pushes.store.ledger import Ledger
from service import make_app
from service.settings import load
from tests.builders import a_key, put


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
