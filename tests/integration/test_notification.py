"""What `POST /notification` takes and refuses: the answer, and what is in Redis afterwards."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from flask.testing import FlaskClient
from redis import Redis
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from devtools.local.embedded import EmbeddedServer
from pushes.model import PushKey, State
from pushes.store.counted import refusals
from pushes.store.ledger import Ledger
from service import create_app, deps
from tests.builders import an_order_id, put
from tests.integration.test_cli_support import events, everything, take

TOKEN = "a-long-random-text"
MakeClient = Callable[..., FlaskClient]


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


@pytest.fixture
def make_client(redis_url: str) -> Iterator[MakeClient]:
    """Makes the application of an environment; logging is left as it was."""
    made = []
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def make(**environment: str) -> FlaskClient:
        app = create_app({"REDIS_URL": redis_url, **environment})
        structlog.reset_defaults()
        made.append(app)
        return app.test_client()

    yield make
    root.handlers[:] = handlers
    root.setLevel(level)
    for app in made:
        with app.app_context():
            deps.current().close()


def notify(client: FlaskClient, body: object, url: str = "/notification") -> TestResponse:
    content: dict[str, Any] = {"data": body} if isinstance(body, str | bytes) else {"json": body}
    return client.post(url, **content)


def of(order_id: str, event: str = "FRAUD_RISK_ACCEPTED", **more: object) -> dict[str, object]:
    return {"order_id": order_id, "event_type": event, **more}


def test_it_stores_a_notification_of_an_order_that_was_never_pushed(
    make_client: MakeClient, ledger: Ledger
) -> None:
    order_id = an_order_id()
    client = make_client()
    with capture_logs() as logged:
        answer = notify(client, of(order_id.upper(), timestamp="2026-03-01T12:00:00Z"))
    assert (answer.status_code, answer.json) == (
        200,
        {"order_id": order_id, "account": "default", "state": "queued"},
    )
    key = PushKey("default", order_id)
    push = take(ledger, key)
    assert (push.state, push.pushes) == (State.QUEUED, 0)
    assert (push.fraud_event, push.only_notified) == ("FRAUD_RISK_ACCEPTED", True)
    assert events(ledger, key) == [("notified", "FRAUD_RISK_ACCEPTED", None)]
    assert ledger.rq.queue.get_job_ids() == [f"default_{order_id}"]
    (accepted,) = [entry for entry in logged if entry["event"] == "notification.accepted"]
    assert (accepted["order_id"], accepted["event_type"]) == (order_id, "FRAUD_RISK_ACCEPTED")


@pytest.mark.parametrize("state", list(State))
def test_it_stores_a_notification_of_a_known_order_with_its_one_record_and_job(
    make_client: MakeClient, ledger: Ledger, state: State
) -> None:
    key = put(ledger, state).key
    jobs = len(ledger.rq.queue.get_job_ids())
    client = make_client()
    first, again = (notify(client, of(key.order_id, "FRAUD_RISK_STOPPED")) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    push = take(ledger, key)
    assert push.fraud_event == "FRAUD_RISK_STOPPED"
    assert push.only_notified == state.is_settled
    assert (
        first.json
        == again.json
        == {
            "order_id": key.order_id,
            "account": "default",
            "state": str(push.state),
        }
    )
    assert [event for event, *_ in events(ledger, key)].count("notified") == 1
    is_new = state.is_settled or state is State.DEAD
    assert len(ledger.rq.queue.get_job_ids()) == jobs + is_new


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "the body: Invalid JSON"),
        ("{", "the body: Invalid JSON"),
        ("[]", "the body: Input should be an object"),
        (b"\xff\xfe", "the body: Invalid JSON"),
        ({}, "order_id: Field required"),
        ({"order_id": an_order_id()}, "event_type: Field required"),
        (of("x"), "order_id: Value error, it must have the shape 8-4-4-4-12"),
        (of(f"{an_order_id()}/../x"), "order_id: Value error, it must have the shape"),
        ({"order_id": 7, "event_type": "X"}, "order_id: Input should be a valid string"),
        (of(an_order_id(), ""), "event_type: Value error, it must be a word"),
        (of(an_order_id(), "two words"), "event_type: Value error, it must be a word"),
        (of(an_order_id(), "x" * 65), "event_type: Value error, it must be a word"),
        ({"order_id": an_order_id(), "event_type": None}, "event_type: Input should be a valid"),
        ("[" * 60_000, "the body: Invalid JSON"),
    ],
)
def test_it_refuses_what_is_no_notification_and_changes_nothing(
    make_client: MakeClient, redis_client: Redis, body: object, told: str
) -> None:
    client = make_client()
    before = everything(redis_client)
    answer = notify(client, body)
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert answer.json
    assert told in answer.json["detail"]
    assert everything(redis_client) == before


def test_it_refuses_as_a_push_is_refused(
    make_client: MakeClient,
    redis_client: Redis,
    tmp_path: Any,  # noqa: ANN401 - pathlib's
) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(f"[accounts.eu]\npush_token = '{TOKEN}'\n[accounts.us]\n")
    client = make_client(ACCOUNTS_FILE=str(accounts))
    body = of(an_order_id())
    assert notify(client, body, "/notification/eu").status_code == 404
    assert notify(client, body, "/notification/eu?token=wrong-text").status_code == 404
    assert notify(client, body, f"/notification/eu?token={TOKEN}").status_code == 200
    assert notify(client, body, "/notification/us").status_code == 200
    assert notify(client, body, "/notification/xx").status_code == 404
    assert notify(client, body).status_code == 404  # several accounts, and none is the default
    assert notify(client, "x" * 70_000, "/notification/us").status_code == 413
    assert client.get("/notification/us").status_code == 405
    assert client.options("/notification/us").status_code == 405
    ledger = Ledger(redis_client)
    assert sorted(ledger.rq.queue.get_job_ids()) == [
        f"{account}_{body['order_id']}" for account in ("eu", "us")
    ]
    with client.application.app_context():
        deps.current().refusals.close()
    counted = refusals.totals(redis_client)
    assert {(str(reason), count) for (_, reason), count in counted.items()} == {
        ("wrong_token", 2),
        ("unknown_account", 2),
        ("too_large", 1),
    }


def test_it_answers_503_while_redis_is_away(
    make_client: MakeClient, valkey: EmbeddedServer
) -> None:
    client = make_client()
    valkey.kill()
    answer = notify(client, of(an_order_id()))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
