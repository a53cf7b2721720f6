import re

import pytest
from redis import Redis

from pushes.accounts.holds import Holds
from pushes.model import HoldReason, State
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
