import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from jsonschema_rs import meta
from redis import Redis
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from werkzeug.test import TestResponse

from pushes.access import tokens, users
from pushes.access.principals import Principal, UserRole
from pushes.accounts.serving import Serving, Share
from pushes.model import PushKey, Reason, State
from pushes.operate.runs.executor import RunExecutor
from pushes.read import views
from pushes.store import records
from pushes.store.ledger import Ledger
from service import make_app
from service.settings import load
from tests.builders import a_key, put
from tests.integration.test_cli_support import after, audited, dead, take
from tests.integration.test_search import a_call, end
from worker.periodic.heartbeat import Heartbeat
from worker.periodic.samples import Samples

PREFIX = "/ops/api/v1"
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


@pytest.fixture
def app(redis_url: str) -> Flask:
    return make_app(load({"REDIS_URL": redis_url}))


class ApiClient:
    """Calls the API with a token of one role."""

    def __init__(self, client: FlaskClient, token: str | None) -> None:
        self._client = client
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, **headers: str) -> TestResponse:
        return self._client.get(PREFIX + path, headers={**self.headers, **headers})

    def post(self, path: str, **body: Any) -> TestResponse:  # noqa: ANN401 - JSON
        return self._client.post(PREFIX + path, headers=self.headers, json=body)


def client(
    app: Flask, ledger: Ledger, role: UserRole = UserRole.OPERATOR, *accounts: str
) -> ApiClient:
    who = Principal(f"{role}{len(tokens.everyone(ledger.redis))}", role, accounts or None)
    token = tokens.add(ledger.redis, who, by="test", now=datetime.now(UTC))
    return ApiClient(app.test_client(), token)


def told(response: TestResponse, status: int = 200) -> Any:  # noqa: ANN401 - JSON
    assert response.status_code == status, response.text
    expected = "application/json" if status < 400 else "application/problem+json"
    assert response.mimetype == expected
    return json.loads(response.data)


def ids(page: Any) -> list[str]:  # noqa: ANN401 - JSON
    return [item["order_id"] for item in page["items"]]


def path_of(key: PushKey) -> str:
    return f"/orders/{key.account}/{key.order_id}"


@pytest.mark.parametrize("token", [None, "kack_wrong", "x"])
def test_it_does_nothing_without_a_token_that_is_one(
    app: Flask, ledger: Ledger, token: str | None
) -> None:
    key = dead(ledger)
    stranger = ApiClient(app.test_client(), token)
    for response in (stranger.get("/status"), stranger.post(f"{path_of(key)}/replay", why="x")):
        assert told(response, 401)["title"] == "Unauthorized"
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert take(ledger, key).state is State.DEAD


def test_it_does_nothing_with_a_revoked_token_or_for_another_host(
    app: Flask, ledger: Ledger
) -> None:
    ops = client(app, ledger)
    assert told(ops.get("/me"))["role"] == "operator"
    told(ops.get("/me", Host="evil.example"), 400)
    tokens.remove(ledger.redis, "operator0", by="test")
    told(ops.get("/me"), 401)


def test_a_viewer_sees_everything_and_changes_nothing(app: Flask, ledger: Ledger) -> None:
    key = dead(ledger)
    viewer = client(app, ledger, UserRole.VIEWER)
    for path in ("/status", "/orders", "/dead-letters", "/causes", "/runs", "/accounts", "/audit"):
        told(viewer.get(path))
    told(viewer.get(path_of(key)))
    assert told(viewer.post("/runs/preview"))["count"] == 1
    for path in (
        *(f"{path_of(key)}/{act}" for act in ("replay", "discard", "retry")),
        *("/runs", "/runs/x/cancel", "/accounts/default/pause"),
    ):
        assert "This needs the role operator" in told(viewer.post(path, why="x"), 403)["detail"]
    assert take(ledger, key).state is State.DEAD


def test_it_tells_of_the_last_hour_day_and_week(app: Flask, ledger: Ledger) -> None:
    viewer = client(app, ledger, UserRole.VIEWER)
    Samples(ledger.redis).scan()
    end(ledger, State.ACKNOWLEDGED, replace(a_call("corr-1"), elapsed_ms=80))

    for word, step_s in (("hour", 60), ("day", 600), ("week", 3600)):
        found = told(viewer.get(f"/series?range={word}"))
        (step,), (call,) = found["steps"], found["calls"]
        assert (found["range"], found["step_s"]) == (word, step_s)
        assert (step["pushes"], step["acknowledged"]) == (1, 1)
        assert (call["call"], call["answers"], call["error_share"]) == ("get_order", {"2xx": 1}, 0)
    assert told(viewer.get("/series"))["range"] == "hour"
    told(viewer.get("/series?range=year"), 422)
    told(client(app, ledger, UserRole.ADMIN, "eu").get("/series"), 403)


def test_it_lists_the_workers_and_what_they_serve(app: Flask, ledger: Ledger) -> None:
    serving = Serving(ledger.redis, [Share.of("eu", 10), Share.of("us", 10)])
    serving.announce()
    ours = Heartbeat(ledger.redis, ledger.rq, slots=8)
    ours.register_birth()  # type: ignore[no-untyped-call]  # RQ gives it no types
    ours.beat(1, 0, serves=serving.key)

    (worker,) = told(client(app, ledger, UserRole.VIEWER).get("/workers"))["items"]

    assert (worker["slots"], worker["busy"], worker["accounts"]) == (8, 1, ["eu", "us"])
    (worker,) = told(client(app, ledger, UserRole.VIEWER, "us").get("/workers"))["items"]
    assert worker["accounts"] == ["us"]


def test_it_finds_and_shows_orders(app: Flask, ledger: Ledger) -> None:
    key = end(ledger, State.DEAD, a_call("corr-1", 400, "BAD_VALUE"))
    put(ledger, State.QUEUED)
    ops = client(app, ledger)
    assert ids(told(ops.get("/orders?q=corr-1"))) == [key.order_id]
    first = told(ops.get("/orders?limit=1"))
    rest = told(ops.get(f"/orders?cursor={first['next_cursor']}"))
    assert len(ids(first) + ids(rest)) == 2
    shown = told(ops.get(path_of(key).upper().replace("/ORDERS/DEFAULT", "/orders/default")))
    assert shown["error_code"] == "BAD_VALUE"
    assert shown["timeline"][-1]["event"] == "dead"
    assert "Did you mean state:?" in told(ops.get("/orders?q=stat:dead"), 422)["detail"]
    told(ops.get("/orders/default/x"), 404)
    told(ops.get(path_of(PushKey("default", "f" * 8 + "-1111-6222-a333-444455556666"))), 404)
    told(ops.get("/orders?cursor=x"), 422)
    told(ops.get("/orders?limit=0&colour=red"), 422)
    told(ops.get("/nothing"), 404)


def test_it_lists_dead_letters_and_their_causes(app: Flask, ledger: Ledger) -> None:
    bad = [end(ledger, State.DEAD, a_call("a", 400, "BAD"), minutes=n) for n in range(2)]
    end(ledger, State.DEAD, account="us", reason=Reason.CRASH_LOOP, minutes=5)
    ops = client(app, ledger)
    page = told(ops.get("/dead-letters?code=BAD&limit=1"))
    assert (ids(page), page["count"]) == ([bad[0].order_id], 2)
    assert told(ops.get("/dead-letters?since=2026-03-01T12:05:00Z"))["count"] == 1
    causes = told(ops.get("/causes"))["items"]
    assert [(it["account"], it["reason"], it["error_code"], it["count"]) for it in causes] == [
        ("us", "crash_loop", None, 1),
        ("default", "rejected", "BAD", 2),
    ]
    told(ops.get("/dead-letters?reason=bored"), 422)
    told(ops.get("/dead-letters?since=soon"), 422)


def test_an_operator_acts_on_one_order(app: Flask, ledger: Ledger) -> None:
    replayed, discarded = dead(ledger), dead(ledger)
    retried = put(ledger, State.RETRYING).key
    ops = client(app, ledger)
    assert told(ops.post(f"{path_of(replayed)}/replay", why=" mended "))["state"] == "queued"
    assert told(ops.post(f"{path_of(discarded)}/discard", why="forged"))["state"] == "dead"
    assert told(ops.post(f"{path_of(retried)}/retry", why="now"))["state"] == "queued"
    told(ops.post(f"{path_of(replayed)}/replay", why="again"), 409)
    told(ops.post(f"{path_of(replayed)}/replay", why="  "), 422)
    assert "why: Field required" in told(ops.post(f"{path_of(replayed)}/replay"), 422)["detail"]
    assert [entry and (entry.by, entry.action, entry.why) for entry in audited(ledger.redis)][
        -3:
    ] == [
        ("operator0", "replay", "mended"),
        ("operator0", "discard", "forged"),
        ("operator0", "retry", "now"),
    ]


def test_it_queues_an_order_as_if_klarna_had_pushed_it(app: Flask, ledger: Ledger) -> None:
    ops, key = client(app, ledger), a_key()
    for pushes in (1, 2):
        queued = told(ops.post(f"{path_of(key)}/push", why="Klarna's push was lost"))
        assert (queued["state"], queued["order_id"]) == ("queued", key.order_id)
        assert take(ledger, key).pushes == pushes
    (entry,) = records.timeline(ledger.redis, key)
    assert (entry.event, entry.by) == ("pushed_by_operator", "operator0")
    acted = audited(ledger.redis)[-1]
    assert acted
    assert (acted.action, acted.why, acted.order_id) == (
        "push",
        "Klarna's push was lost",
        key.order_id,
    )
    told(ops.post(f"/orders/mars/{key.order_id}/push"), 404)
    told(ops.post("/orders/default/x/push"), 404)
    told(client(app, ledger, UserRole.VIEWER).post(f"{path_of(key)}/push"), 403)


def test_it_shows_settings_and_who_has_access_to_an_admin(redis_url: str, ledger: Ledger) -> None:
    app = make_app(load({"REDIS_URL": redis_url, "PUSH_TOKEN": "much-too-secret"}))
    who = Principal("anna", UserRole.ADMIN)
    users.add(ledger.redis, who, password=None, by="root", now=datetime.now(UTC))
    admin = client(app, ledger, UserRole.ADMIN)
    shown = told(admin.get("/settings"))
    values = {item["name"]: item["value"] for item in shown["items"]}
    assert (values["PORT"], values["OPS_URL"]) == ("8000", None)
    assert values["REDIS_URL"] == "\N{BULLET}" * 6 + " (set)"
    assert (shown["push_tokens"], shown["faults"]) == ({"default": True}, [])
    assert "much-too-secret" not in json.dumps(shown)
    (user,) = told(admin.get("/users"))["items"]
    assert (user["name"], user["role"], user["has_password"]) == ("anna", "admin", False)
    (token,) = told(admin.get("/tokens"))["items"]
    assert (token["name"], token["made_by"]) == ("admin0", "test")
    assert token["last_used_at"] is not None
    operator = client(app, ledger)
    for path in ("/settings", "/users", "/tokens"):
        told(operator.get(path), 403)


def test_it_starts_and_steers_bulk_runs(app: Flask, ledger: Ledger) -> None:
    letters = [dead(ledger, now=after(n)) for n in range(3)]
    ops = client(app, ledger)
    started = told(ops.post("/runs", action="replay", why="mended", filter={}, rate_per_s=5))
    run = f"/runs/{started['id']}"
    assert (started["state"], started["total"], started["by"]) == ("running", 3, "operator0")
    assert told(ops.post(f"{run}/pause"))["state"] == "paused"
    assert told(ops.post(f"{run}/resume"))["state"] == "running"
    assert told(ops.post(f"{run}/cancel", why="enough"))["state"] == "cancelled"
    told(ops.post(f"{run}/cancel", why="again"), 409)
    told(ops.post(f"{run}/undo", why="x"), 409)
    told(ops.get("/runs/nothing"), 404)

    chosen = [{"account": key.account, "order_id": key.order_id} for key in letters[:2]]
    discard = told(ops.post("/runs", action="discard", why="forged", orders=chosen))
    RunExecutor(ledger, "worker").step(datetime.now(UTC))
    shown = told(ops.get(f"/runs/{discard['id']}"))
    assert (shown["state"], shown["results"]["acted"]) == ("done", 2)
    undo = told(ops.post(f"/runs/{discard['id']}/undo", why="a mistake"))
    assert (undo["action"], undo["total"]) == ("restore", 2)
    assert told(ops.get("/runs"))["items"][0]["id"] == undo["id"]

    told(ops.post("/runs", action="restore", why="x", filter={}), 422)
    told(ops.post("/runs", action="replay", why="x"), 422)
    told(ops.post("/runs", action="replay", why="x", filter={}, orders=chosen), 422)


def test_it_pauses_and_resumes_an_account(app: Flask, ledger: Ledger) -> None:
    put(ledger, State.QUEUED)
    ops = client(app, ledger)
    paused = told(ops.post("/accounts/default/pause", why="new credentials"))["default"]
    assert (paused["held"], paused["cause"]) == ("operator", "new credentials")
    assert told(ops.get("/accounts"))["default"]["held"] == "operator"
    assert told(ops.post("/accounts/default/resume"))["default"]["held"] is None
    told(ops.post("/accounts/nobody/pause", why="x"), 404)


def test_who_is_limited_sees_and_touches_nothing_else(app: Flask, ledger: Ledger) -> None:
    us, eu = dead(ledger, account="us"), dead(ledger, account="eu")
    limited = client(app, ledger, UserRole.OPERATOR, "eu")
    other = client(app, ledger)
    for path in ("/orders", "/dead-letters", f"/orders?q={us.order_id}", "/causes?account=eu"):
        assert us.order_id not in limited.get(path).text
    assert list(told(limited.get("/accounts"))) == ["eu"]
    for response in (
        limited.get(path_of(us)),
        limited.get("/dead-letters?account=us"),
        limited.get("/audit?account=us"),
        limited.post(f"{path_of(us)}/replay", why="x"),
        limited.post("/accounts/us/pause", why="x"),
        limited.post("/runs", action="replay", why="x", filter={"account": "us"}),
    ):
        told(response, 404)
    told(limited.get("/audit"), 422)
    whole = told(other.post("/runs", action="discard", why="all", filter={"account": "us"}))
    told(limited.get(f"/runs/{whole['id']}"), 404)
    told(other.post(f"/runs/{whole['id']}/cancel", why="x"))

    mine = told(limited.post("/runs", action="replay", why="x", filter={}))
    assert (mine["total"], [it["id"] for it in told(limited.get("/runs"))["items"]]) == (
        1,
        [mine["id"]],
    )
    RunExecutor(ledger, "worker").step(datetime.now(UTC))
    assert (take(ledger, us).state, take(ledger, eu).state) == (State.DEAD, State.QUEUED)


def test_it_is_polled_by_etag(app: Flask, ledger: Ledger) -> None:
    key = dead(ledger)
    ops = client(app, ledger)
    tag = ""
    for path in (path_of(key), "/dead-letters", "/status"):
        tag = ops.get(path).headers["ETag"]
        again = ops.get(path, **{"If-None-Match": tag})
        assert (again.status_code, again.data) == (304, b"")
    ops.post(f"{path_of(key)}/replay", why="mended")
    assert ops.get("/status", **{"If-None-Match": tag}).status_code == 200
    assert views.instant(after(0)) in ops.get(path_of(key)).text


def test_it_is_503_while_redis_is_away(app: Flask, ledger: Ledger, valkey: Any) -> None:  # noqa: ANN401 - the fixture
    ops = client(app, ledger)
    valkey.kill()
    response = ops.get("/status")
    told(response, 503)
    assert response.headers["Retry-After"] == "5"


def test_it_is_described_by_openapi_31(app: Flask) -> None:
    document = told(ApiClient(app.test_client(), None).get("/openapi.json"))
    assert document["openapi"].startswith("3.1.")
    assert len(document["paths"]) == 26
    assert document["security"] == [{"token": []}]
    for schema in document["components"]["schemas"].values():
        assert meta.is_valid(schema)


def test_it_answers_as_its_document_says(app: Flask, ledger: Ledger) -> None:
    key = dead(ledger)
    put(ledger, State.RETRYING)
    ops = client(app, ledger, UserRole.ADMIN)
    schema = schemathesis.openapi.from_wsgi(f"{PREFIX}/openapi.json", app)
    tried = 0
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        call = result.ok()

        @settings(
            max_examples=6,
            deadline=None,
            derandomize=True,  # the same in every run
            suppress_health_check=list(HealthCheck),
        )
        @given(case=call.as_strategy(generation_mode=GenerationMode.POSITIVE))
        def attempt(case: Case[Any]) -> None:
            if "account" in case.path_parameters:
                case.path_parameters |= {"account": key.account}
            if "order_id" in case.path_parameters:
                case.path_parameters |= {"order_id": key.order_id}
            case.validate_response(case.call(headers=ops.headers), checks=CHECKS)

        attempt()
        tried += 1
    assert tried == 27
