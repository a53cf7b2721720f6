"""With REDIS_WAIT_REPLICAS no view tells that a change is done which a failover could lose."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import poll
from pushes.access import sessions, tokens, users
from pushes.access.principals import Principal, UserRole
from pushes.model import PushKey, State
from pushes.operate.runs import steer
from pushes.operate.runs.executor import RunExecutor
from pushes.operate.runs.steer import RunRequest
from pushes.read.dead_letters import Filter
from pushes.read.runs import RunAction
from pushes.store import keys
from pushes.store.ledger import Ledger
from pushes.store.server import replicas
from service import make_app
from service.settings import load
from tests.builders import put

WHY = "Klarna is back"

# Views that take a POST and change nothing of the orders.
NO_CHANGE = {
    "ops.sign_in.sign_in",
    "ops.sign_in.use_link",
    "ops.sign_in.sign_out",
    "api.runs.preview",
    "api.unknown",
}

# Where to post, and what besides the reason.
Call = tuple[str, dict[str, Any]]


class OrdersToChange:
    """Makes what there is to change, anew for each call."""

    def __init__(self, redis: Redis) -> None:
        self.ledger = Ledger(redis)
        self.redis = redis

    def of(self, state: State, act: str, **form: str) -> Call:
        key = put(self.ledger, state).key
        return f"/orders/{key.account}/{key.order_id}/{act}", form

    def ticked(self) -> Call:
        return "/dead/", {"letter": keys.job_id(self._dead()), "act": "replay"}

    def selected(self) -> Call:
        key = self._dead()
        chosen = [{"account": key.account, "order_id": key.order_id}]
        return "/runs", {"action": "discard", "orders": chosen}

    def running(self, below: str, turn: str) -> Call:
        request = RunRequest(RunAction.REPLAY, "anna", WHY)
        run = steer.start(self.redis, request, Filter(account="nobody"), datetime.now(UTC))
        if turn == "resume":
            steer.pause(self.redis, run.id, by="anna", why=None, now=datetime.now(UTC))
        return f"{below}/{run.id}/{turn}", {}

    def discarded(self) -> Call:
        request, now = RunRequest(RunAction.DISCARD, "anna", WHY), datetime.now(UTC)
        run = steer.start_selected(self.redis, request, [self._dead()], now)
        RunExecutor(self.ledger, "worker").step(now)
        return f"/runs/{run.id}/undo", {}

    def _dead(self) -> PushKey:
        return put(self.ledger, State.DEAD).key


CALLS: dict[str, Callable[[OrdersToChange], Call]] = {
    "api.orders.push": lambda orders: orders.of(State.DEAD, "push"),
    "api.orders.replay": lambda orders: orders.of(State.DEAD, "replay"),
    "api.orders.discard": lambda orders: orders.of(State.DEAD, "discard"),
    "api.orders.retry": lambda orders: orders.of(State.RETRYING, "retry"),
    "api.runs.start": OrdersToChange.selected,
    "api.runs.pause": lambda orders: orders.running("/runs", "pause"),
    "api.runs.resume": lambda orders: orders.running("/runs", "resume"),
    "api.runs.cancel": lambda orders: orders.running("/runs", "cancel"),
    "api.runs.undo": OrdersToChange.discarded,
    "api.accounts.pause": lambda _: ("/accounts/default/pause", {}),
    "api.accounts.resume": lambda _: ("/accounts/default/resume", {}),
    "ops.order.replay_it": lambda orders: orders.of(State.DEAD, "replay"),
    "ops.order.discard_it": lambda orders: orders.of(State.DEAD, "discard"),
    "ops.order.retry_it": lambda orders: orders.of(State.RETRYING, "retry"),
    "ops.dead.act": OrdersToChange.ticked,
    "ops.replays.start": lambda _: ("/replays/new?act=replay&account=nobody", {}),
    "ops.replays.turn": lambda orders: orders.running("/replays", "cancel"),
    "ops.accounts.pause": lambda _: ("/accounts/default/pause", {}),
    "ops.accounts.resume": lambda _: ("/accounts/default/resume", {}),
}


class SignedInAdmin:
    """An admin of the console, who has a token of the API, too."""

    def __init__(self, app: Flask, redis: Redis) -> None:
        app.config["WTF_CSRF_METHODS"] = set()  # the forms' token is not what is tested here
        self._app, self._redis = app, redis
        who, now = Principal("anna", UserRole.ADMIN), datetime.now(UTC)
        self._user = users.add(redis, who, password=None, by="root", now=now)
        token = tokens.add(redis, who, by="root", now=now)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._client = self.sign_in()

    def sign_in(self) -> FlaskClient:
        client, word = self._app.test_client(), sessions.make_link(self._redis, self._user)
        assert client.post("/ops/link", data={"code": word}).status_code == 302
        return client

    def post(self, endpoint: str, call: Call) -> TestResponse:
        path, facts = call
        if endpoint.startswith("api."):
            body = {"why": WHY, **facts}
            return self._client.post(f"/ops/api/v1{path}", headers=self._headers, json=body)
        return self._client.post(f"/ops{path}", data={"why": WHY, **facts})


def changing_views(app: Flask) -> set[str]:
    return {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith(("ops.", "api."))
        and (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}
    }


def test_no_view_says_done_before_a_replica_has_it(
    master: EmbeddedServer, replica: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(load({"REDIS_URL": master.url, "REDIS_WAIT_REPLICAS": "1"}))
    assert changing_views(app) == CALLS.keys() | NO_CHANGE
    with Redis.from_url(master.url) as redis:
        orders, operator = OrdersToChange(redis), SignedInAdmin(app, redis)
        done = {name: operator.post(name, call(orders)) for name, call in CALLS.items()}
        replica.freeze()
        monkeypatch.setattr(replicas, "_WITHIN_MS", 20)
        lost = {name: operator.post(name, call(orders)) for name, call in CALLS.items()}
        client = operator.sign_in()
        preview = operator.post("api.runs.preview", ("/runs/preview", {"why": None}))
        out = client.post("/ops/sign-out")

    assert {name: answer.status_code for name, answer in done.items()} == {
        name: 302 if name.startswith("ops.") else 200 for name in CALLS
    }
    assert {name: answer.status_code for name, answer in lost.items()} == dict.fromkeys(CALLS, 503)
    for answer in lost.values():
        assert "it is done, but a failover could lose it" in answer.text
    assert (out.status_code, preview.status_code) == (302, 422)


def test_what_was_not_told_as_done_is_done_when_a_replica_is_back(
    master: EmbeddedServer, replica: EmbeddedServer
) -> None:
    app = make_app(load({"REDIS_URL": master.url, "REDIS_WAIT_REPLICAS": "1"}))
    with Redis.from_url(master.url) as redis:
        operator, pause = (
            SignedInAdmin(app, redis),
            CALLS["ops.accounts.pause"](OrdersToChange(redis)),
        )
        replica.freeze()
        first = operator.post("ops.accounts.pause", pause)
        replica.thaw()
        poll(lambda: operator.post("ops.accounts.pause", pause).status_code == 302, 10)

    assert first.status_code == 503
    with Redis.from_url(replica.url) as there:
        assert there.sismember(keys.HOLDS, "default")
