import pytest
from redis import Redis

from pushes.model import OrderSnapshot, State
from pushes.store.ledger import Ledger
from tests.builders import put
from tests.integration.test_cli_support import NOW_TEXT, answer, at, dead, error, everything, run
from tests.integration.test_search import end


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def test_it_finds_by_a_reference(ledger: Ledger, redis_url: str) -> None:
    order = OrderSnapshot(merchant_reference1="Order 4711", order_amount=6000)
    key = end(ledger, State.DEAD, order=order)
    before = everything(ledger.redis)
    with at():
        shown = answer(run(redis_url, "find", "order", "4711", "--json"))
    assert shown == {
        "items": [
            {
                "order_id": key.order_id,
                "account": "default",
                "state": "dead",
                "reason": "rejected",
                "since": NOW_TEXT,
                "first_push_at": NOW_TEXT,
                "deadline_at": "2026-03-03T12:00:00.000Z",
                "next_attempt_at": None,
                "overdue": False,
                "attempts": 1,
                "pushes": 1,
                "last_error": "e",
                "error_code": None,
                "correlation_id": None,
                "order_amount": 6000,
                "purchase_currency": None,
            }
        ],
        "next_cursor": None,
    }
    assert everything(ledger.redis) == before


def test_it_is_aligned_text_when_piped(ledger: Ledger, redis_url: str) -> None:
    key = dead(ledger)
    put(ledger, State.QUEUED)
    assert run(redis_url, "find", "state:dead").stdout == (
        "order_id                              account  state  since                     reason"
        "    last_error\n"
        f"{key.order_id}  default  dead   2026-03-01T12:00:00.000Z  rejected  HTTP 400"
        " BAD_VALUE\n"
    )
    assert run(redis_url, "find", "nothing").stdout == "No order matches.\n"


def test_it_says_what_it_does_not_understand(redis_url: str) -> None:
    complaint = error(run(redis_url, "find", "stat:dead"), 2).splitlines()[-1]
    assert complaint.startswith("Error: There is no qualifier 'stat'. Did you mean state:? ")
    assert complaint.endswith(" Here: 'stat:dead'.")
    complaint = error(run(redis_url, "find", "x", "--account", "nobody"), 2)
    assert complaint.splitlines()[-1] == "Error: There is no account 'nobody'. Known: default."
    assert "use the next_cursor" in error(run(redis_url, "find", "x", "--cursor", "y"), 2)
