"""The console: who gets in, what is refused, and what of the outside is shown as text."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from pushes import life
from pushes.access import sessions, users
from pushes.access.principals import Principal, UserRole
from pushes.accounts.holds import Holds
from pushes.model import HoldReason, OrderSnapshot, Push, PushKey, Reason, State
from pushes.operate import audit as record_acts
from pushes.operate.runs import steer
from pushes.operate.runs.steer import RunRequest
from pushes.read import audit, runs
from pushes.read.audit import AuditEntry
from pushes.read.dead_letters import Filter
from pushes.read.runs import RunAction
from pushes.store import keys, records
from pushes.store.ledger import Ledger
from service import make_app
from service.ops import words
from service.settings import load
from tests.builders import NOW, a_key, history, pop, put

PASSWORD = "three words or more"
NAMES = ("", "orders/", "dead/", "replays/", "accounts/", "workers/", "audit/", "settings/")
PAGES = [f"/ops/{name}" for name in NAMES]
WHY = {"why": "Klarna is back"}
NASTY = "<script>alert(1)</script>\u202egnp.exe\x1b[31m"


def make(redis_url: str, **settings: str) -> Flask:
    return make_app(load({"REDIS_URL": redis_url, **settings}))


@pytest.fixture(autouse=True)
def _fast_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash as little as argon2 allows: it is not what is tested here."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(users, "_hasher", lambda: hasher)


@pytest.fixture
def app(redis_client: Redis, redis_url: str) -> Flask:
    for role in UserRole:
        add(redis_client, str(role), role)
    return make(redis_url)


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def add(redis: Redis, name: str, role: UserRole, *accounts: str) -> None:
    who = Principal(name, role, accounts or None)
    users.add(redis, who, password=PASSWORD, by="root", now=datetime.now(UTC))


def token(client: FlaskClient, path: str) -> str:
    """The token of the forms on a page."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
    assert found, path
    return found[1]


def sign_in(app: Flask, name: str, password: str = PASSWORD, **form: str) -> FlaskClient:
    client = app.test_client()
    form |= {"csrf_token": token(client, "/ops/sign-in"), "name": name, "password": password}
    answer = client.post("/ops/sign-in", data=form)
    assert answer.status_code in {302, 401, 429}, answer.text
    return client


def is_in(client: FlaskClient) -> bool:
    return client.get("/ops/").status_code == 200


def post(client: FlaskClient, path: str, **form: str | list[str]) -> TestResponse:
    return client.post(path, data={"csrf_token": token(client, "/ops/"), **form})


def dead(ledger: Ledger, key: PushKey | None = None, error: str = "HTTP 404") -> Push:
    key, now = key or a_key(), datetime.now(UTC)
    *before, started = history(State.RUNNING, key, now - timedelta(hours=1))
    running = replace(started.after, order=OrderSnapshot("AUTHORIZED", merchant_reference1=NASTY))
    started = replace(started, after=running)
    changes = [*before, started, life.dead(running, Reason.NOT_ALLOWED, now, error)]
    for change in changes:
        assert ledger.commit_many([change]) == [True]
        if change.after.state is State.QUEUED:
            pop(ledger)
    return dead_one(ledger, key)


def path(key: PushKey) -> str:
    return f"/ops/orders/{key.account}/{key.order_id}/"


def acts(redis: Redis) -> Iterator[tuple[str, str, str | None, str | None]]:
    for line in audit.newest_first(redis, limit=20).lines:
        assert line.entry
        if not line.entry.action.startswith("user"):
            yield line.entry.by, line.entry.action, line.entry.order_id, line.entry.why


# Who gets in


def test_it_is_closed_until_there_is_a_user(redis_url: str, redis_client: Redis) -> None:
    client = make(redis_url).test_client()
    for page in (*PAGES, "/ops/sign-in"):
        answer = client.get(page)
        assert (answer.status_code, answer.location) == (302, "/ops/closed")
    assert "klarna-ack user add NAME --role admin" in client.get("/ops/closed").text
    add(redis_client, "anna", UserRole.ADMIN)
    assert client.get("/ops/closed").location == "/ops/sign-in"


def test_it_shows_nothing_to_whoever_is_not_signed_in(app: Flask, ledger: Ledger) -> None:
    key = dead(ledger).key
    client = app.test_client()
    for page in (*PAGES, path(key), "/ops/dead/?reason=not_allowed"):
        answer = client.get(page)
        assert answer.status_code == 302
        assert answer.location.startswith("/ops/sign-in?next=/ops/")
    answer = client.post(path(key) + "replay", data=WHY)
    assert answer.status_code == 401
    assert "You are not signed in" in answer.text
    assert records.get(ledger.redis, key) == dead_one(ledger, key)


def dead_one(ledger: Ledger, key: PushKey) -> Push:
    push = records.get(ledger.redis, key)
    assert push
    assert push.state is State.DEAD
    return push


def test_it_signs_in_and_leads_to_where_somebody_wanted_to_go(app: Flask) -> None:
    client = app.test_client()
    form = {"name": "Viewer ", "password": PASSWORD, "next": "/ops/dead/?reason=rejected"}
    form["csrf_token"] = token(client, "/ops/sign-in")
    answer = client.post("/ops/sign-in", data=form)
    assert (answer.status_code, answer.location) == (302, "/ops/dead/?reason=rejected")
    cookie = answer.headers["Set-Cookie"]
    assert re.fullmatch(r"klarna_ack_ops=\S+; HttpOnly; Path=/ops; SameSite=Lax", cookie)
    assert is_in(client)
    assert client.get("/ops/sign-in").location == "/ops/"


@pytest.mark.parametrize("where", ["https://evil.example/", "//evil.example", "/ops/\\evil", "/x"])
def test_it_leads_nowhere_else(app: Flask, where: str) -> None:
    client = app.test_client()
    form = {"name": "viewer", "password": PASSWORD, "next": where}
    form["csrf_token"] = token(client, "/ops/sign-in")
    assert client.post("/ops/sign-in", data=form).location == "/ops/"


def test_it_never_says_whether_the_name_or_the_password_is_wrong(app: Flask) -> None:
    client = app.test_client()
    answers = []
    for name, password in (("viewer", "wrong"), ("nobody", PASSWORD), ("", ""), ("<b>", "x")):
        form = {"name": name, "password": password, "csrf_token": token(client, "/ops/sign-in")}
        answer = client.post("/ops/sign-in", data=form)
        assert answer.status_code == 401
        assert "<b>" not in answer.text
        answers.append(re.search(r'role="alert">([^<]*)<', answer.text)[1])  # type: ignore[index]
        assert not is_in(client)
    assert set(answers) == {"Name and password do not fit together."}


def test_it_limits_attempts_by_name(app: Flask, redis_client: Redis) -> None:
    for _ in range(10):
        assert not is_in(sign_in(app, "viewer", "wrong"))
    assert not is_in(sign_in(app, "viewer"))
    assert is_in(sign_in(app, "operator"))
    limited = app.test_client()
    form = {"name": "viewer", "password": PASSWORD, "csrf_token": token(limited, "/ops/sign-in")}
    answer = limited.post("/ops/sign-in", data=form)
    assert answer.status_code == 429
    assert "klarna-ack user link NAME" in answer.text
    for name in redis_client.keys(f"{keys.SIGN_IN_ATTEMPTS}*"):
        assert 0 < redis_client.ttl(name) <= 300


def test_it_limits_attempts_by_address(app: Flask) -> None:
    for number in range(30):
        sign_in(app, f"name-{number}", "wrong")
    assert not is_in(sign_in(app, "viewer"))


def test_a_right_password_forgives_the_wrong_ones_before(app: Flask) -> None:
    for _ in range(2):
        for _ in range(9):
            sign_in(app, "viewer", "wrong")
        assert is_in(sign_in(app, "viewer"))


def test_it_signs_out_for_good(app: Flask) -> None:
    client = sign_in(app, "viewer")
    stolen = client.get_cookie("klarna_ack_ops", path="/ops")
    assert stolen
    assert post(client, "/ops/sign-out").location == "/ops/sign-in"
    assert not is_in(client)
    thief = app.test_client()
    thief.set_cookie("klarna_ack_ops", stolen.value, path="/ops")
    assert not is_in(thief)


def test_it_ends_sessions_with_their_user(app: Flask, redis_client: Redis) -> None:
    client = sign_in(app, "viewer")
    users.remove(redis_client, "viewer", by="root")
    assert not is_in(client)
    add(redis_client, "viewer", UserRole.ADMIN)
    assert not is_in(client)


def test_it_takes_no_cookie_that_it_did_not_sign(app: Flask, redis_client: Redis) -> None:
    client = sign_in(app, "viewer")
    redis_client.delete(keys.CONSOLE_SECRET)
    assert not is_in(client)


def test_it_signs_in_once_by_a_link(app: Flask, redis_client: Redis) -> None:
    user = users.find(redis_client, "operator")
    assert user
    word = sessions.make_link(redis_client, user)
    client = app.test_client()
    assert "Sign in as operator" in client.get(f"/ops/link?code={word}").text
    form = {"csrf_token": token(client, f"/ops/link?code={word}"), "code": word}
    assert client.post("/ops/link", data=form).location == "/ops/"
    assert is_in(client)
    again = app.test_client()
    answer = again.get(f"/ops/link?code={word}")
    assert (answer.status_code, "used up" in answer.text) == (410, True)
    form["csrf_token"] = token(again, "/ops/sign-in")
    assert again.post("/ops/link", data=form).status_code == 410
    assert not is_in(again)


# Hosts, proxies, forms, headers


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1", "[::2]"])
def test_it_answers_nobody_at_another_address(app: Flask, host: str) -> None:
    client = sign_in(app, "viewer")
    answer = client.get("/ops/", headers={"Host": host})
    assert answer.status_code == 400
    assert "OPS_URL" in answer.text
    assert client.get("/ops/", headers={"Host": "127.0.0.1:8000"}).status_code == 302


def test_it_answers_at_the_configured_address_alone(app: Flask, redis_url: str) -> None:
    app = make(redis_url, OPS_URL="https://ops.example.com")
    client = app.test_client()
    https = "https://ops.example.com"
    answer = client.get("/ops/sign-in", base_url=https)
    assert answer.status_code == 200
    cookie = answer.headers["Set-Cookie"]
    assert "; Secure; HttpOnly; Path=/ops; SameSite=Lax" in cookie
    for other in ("http://localhost", "https://ops.example.com.evil.example"):
        assert client.get("/ops/sign-in", base_url=other).status_code == 400
    assert client.get("/healthz", base_url="http://10.0.0.1").status_code == 200


def test_it_believes_a_proxy_only_at_its_address(app: Flask, redis_url: str) -> None:
    proxied = {
        "OPS_USER_HEADER": "X-Forwarded-Email",
        "OPS_USER_HEADER_FROM": "192.0.2.0/24",
        "PROXY_HOPS": "1",
    }
    headers = {"X-Forwarded-Email": "Operator", "X-Forwarded-For": "192.0.2.7"}
    client = make(redis_url, **proxied).test_client()

    def answer(address: str, headers: dict[str, str]) -> TestResponse:
        return client.get("/ops/", headers=headers, environ_base={"REMOTE_ADDR": address})

    assert answer("192.0.2.7", headers).status_code == 200
    assert "operator" in answer("192.0.2.7", headers).text
    assert answer("203.0.113.9", headers).status_code == 302
    assert answer("", headers).status_code == 302
    assert answer("192.0.2.7", {"X-Forwarded-Email": "stranger"}).status_code == 302
    assert answer("192.0.2.7", {"X-Forwarded-Email": "<b>"}).status_code == 302
    assert app.test_client().get("/ops/", headers=headers).status_code == 302


def test_it_refuses_a_forged_form(app: Flask, ledger: Ledger) -> None:
    push = dead(ledger)
    client, other = sign_in(app, "operator"), sign_in(app, "operator")
    for forged in ("", "x", token(other, "/ops/")):
        answer = client.post(path(push.key) + "replay", data={**WHY, "csrf_token": forged})
        assert answer.status_code == 400
        assert "Nothing was changed" in answer.text
    assert client.post("/ops/sign-out").status_code == 400
    assert is_in(client)
    assert app.test_client().post("/ops/sign-in", data={"name": "x"}).status_code == 400
    assert dead_one(ledger, push.key) == push


def test_it_changes_nothing_by_a_get(app: Flask, ledger: Ledger) -> None:
    push = dead(ledger)
    client = sign_in(app, "admin")
    changing = [
        rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("ops.") and "POST" in (rule.methods or ())
    ]
    assert len(changing) >= 8
    for rule in changing:
        values = dict.fromkeys(rule.arguments, "default") | {"order_id": push.key.order_id}
        built = app.url_map.bind("localhost").build(
            rule.endpoint, {name: values[name] for name in rule.arguments}, method="POST"
        )
        assert client.get(built).status_code in {200, 302, 400, 404, 405, 410}
    assert dead_one(ledger, push.key) == push
    assert list(acts(ledger.redis)) == []


def test_it_sends_strict_headers_with_everything(app: Flask) -> None:
    client = sign_in(app, "viewer")
    for page in ("/ops/", "/ops/nothing", "/ops/settings/", "/ops/static/console.css"):
        with client.get(page) as answer:
            headers = answer.headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert ("no-store" in headers.get("Cache-Control", "")) == ("static" not in page)


@pytest.mark.parametrize("page", PAGES)
def test_it_holds_nothing_inline_and_nothing_of_others(app: Flask, page: str) -> None:
    html = sign_in(app, "admin").get(page).text
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html)
    assert re.findall(r"<script(?! src=\"/ops/static/)", html) == []
    for address in re.findall(r'(?:src|href|action)="([^"]*)"', html):
        assert not urlsplit(address).netloc, address


# Roles and accounts


def test_a_viewer_changes_nothing(app: Flask, ledger: Ledger) -> None:
    push = dead(ledger)
    client = sign_in(app, "viewer")
    for act in (
        path(push.key) + "replay",
        path(push.key) + "discard",
        "/ops/accounts/default/pause",
    ):
        answer = post(client, act, **WHY)
        assert answer.status_code == 403
        assert "You are viewer, a viewer." in answer.text
    answer = post(client, "/ops/dead/", act="replay", letter=keys.job_id(push.key), **WHY)
    assert answer.status_code == 403
    assert dead_one(ledger, push.key) == push
    assert list(acts(ledger.redis)) == []
    assert '<form method="post"' not in client.get(path(push.key)).text.partition("<main")[2]


def test_only_an_admin_sees_the_settings(app: Flask) -> None:
    for name, status in (("viewer", 403), ("operator", 403), ("admin", 200)):
        client = sign_in(app, name)
        assert client.get("/ops/settings/").status_code == status
        assert ("/ops/settings/" in client.get("/ops/").text) == (status == 200)


def test_it_masks_secrets(app: Flask, redis_url: str) -> None:
    app = make(redis_url, PUSH_TOKEN="open-sesame-8")
    html = sign_in(app, "admin").get("/ops/settings/").text
    assert "open-sesame-8" not in html
    assert redis_url not in html
    assert "REDIS_URL" in html
    assert PASSWORD not in html
    assert "argon2" not in html


def test_it_keeps_accounts_apart(app: Flask, ledger: Ledger, redis_client: Redis) -> None:
    add(redis_client, "limited", UserRole.OPERATOR, "eu")
    ours, theirs = dead(ledger, a_key("eu")), dead(ledger, a_key("us"))
    client = sign_in(app, "limited")
    for page in (*PAGES[:-1], "/ops/dead/?account=eu"):
        html = client.get(page).text
        assert theirs.key.order_id not in html
        assert ">us<" not in html
    assert ours.key.order_id in client.get("/ops/dead/").text
    assert client.get(path(ours.key)).status_code == 200
    for page in (path(theirs.key), "/ops/dead/?account=us", "/ops/orders/?account=us"):
        assert client.get(page).status_code == 404
    assert post(client, path(theirs.key) + "replay", **WHY).status_code == 404
    letter = keys.job_id(theirs.key)
    assert post(client, "/ops/dead/", act="replay", letter=letter, **WHY).status_code == 400
    assert post(client, "/ops/accounts/us/pause", **WHY).status_code == 404
    assert dead_one(ledger, theirs.key) == theirs


def test_it_leads_whoever_is_limited_to_an_account_with_such_orders(
    app: Flask, ledger: Ledger, redis_client: Redis
) -> None:
    now = datetime.now(UTC)
    put(ledger, State.HELD, a_key("us"), now - timedelta(hours=47))
    put(ledger, State.HELD, a_key("north"), now - timedelta(hours=3))
    put(ledger, State.QUEUED, a_key("eu"), now - timedelta(minutes=1))
    add(redis_client, "limited", UserRole.VIEWER, "eu", "north")
    html = sign_in(app, "limited").get("/ops/").text
    assert "state=held&amp;account=north" in html
    assert "state=queued&amp;account=eu" in html
    assert "<dd>3 h 00 min</dd>" in html
    assert "deadline" not in html  # the order of another account is within 4 hours of its own


# What is done


def test_it_replays_a_dead_letter(app: Flask, ledger: Ledger) -> None:
    push = dead(ledger)
    client = sign_in(app, "operator")
    answer = post(client, path(push.key) + "replay", **WHY)
    assert answer.location == path(push.key)
    assert "queued again with fresh attempts" in client.get(answer.location).text
    after = records.get(ledger.redis, push.key)
    assert after
    assert after.state is State.QUEUED
    assert list(acts(ledger.redis)) == [("operator", "replay", push.key.order_id, "Klarna is back")]
    post(client, path(push.key) + "replay", **WHY)
    assert "is queued, not dead" in client.get(path(push.key)).text


def test_it_discards_and_retries(app: Flask, ledger: Ledger) -> None:
    push, waiting = dead(ledger), put(ledger, State.RETRYING, now=datetime.now(UTC))
    client = sign_in(app, "operator")
    post(client, path(push.key) + "discard", **WHY)
    post(client, path(waiting.key) + "retry", **WHY)
    assert dead_one(ledger, push.key).discarded
    retried = records.get(ledger.redis, waiting.key)
    assert retried
    assert retried.state is State.QUEUED


def test_it_replays_those_that_are_ticked(app: Flask, ledger: Ledger) -> None:
    pushes = [dead(ledger) for _ in range(3)]
    client = sign_in(app, "operator")
    ticked = [keys.job_id(push.key) for push in pushes[:2]]
    answer = post(client, "/ops/dead/", act="replay", letter=ticked, **WHY)
    assert "2 letters were replayed." in client.get(answer.location).text
    after = records.get_many(ledger.redis, [push.key for push in pushes])
    states = [push.state for push in after if push]
    assert states == [State.QUEUED, State.QUEUED, State.DEAD]


def test_it_replays_all_that_match_after_a_look(app: Flask, ledger: Ledger) -> None:
    for _ in range(3):
        dead(ledger, a_key("norway"))
    other = dead(ledger, a_key("sweden"))
    client = sign_in(app, "operator")
    new = "/ops/replays/new?act=replay&reason=not_allowed&account=norway"
    html = client.get(new).text
    assert "Replay 3 dead letters?" in html
    assert other.key.order_id not in html
    answer = post(client, new, rate="2", **WHY)
    (run,) = runs.active(ledger.redis)
    assert answer.location == f"/ops/replays/{run.id}/"
    assert (run.action, run.by, run.why, run.total, run.rate_per_s, run.account) == (
        "replay",
        "operator",
        "Klarna is back",
        3,
        2,
        "norway",
    )
    for turn, state in (("pause", "Paused"), ("resume", "Running"), ("cancel", "Cancelled")):
        answer = post(client, f"/ops/replays/{run.id}/{turn}", **WHY)
        assert f">{state}<" in client.get(answer.location).text
    post(client, f"/ops/replays/{run.id}/resume", **WHY)
    html = client.get(f"/ops/replays/{run.id}/").text
    assert f"Run {run.id} is cancelled" in html
    assert run.id in client.get("/ops/replays/").text
    assert runs.active(ledger.redis) == []


def test_it_writes_how_fast_a_run_goes_and_until_when(app: Flask, ledger: Ledger) -> None:
    dead(ledger, a_key("norway"))
    request = RunRequest(RunAction.REPLAY, "ops", "a test", rate_per_s=0.2)
    run = steer.start(ledger.redis, request, Filter(), NOW)
    html = sign_in(app, "viewer").get(f"/ops/replays/{run.id}/").text
    assert "at most 0.2 a second" in html
    assert run.wanted
    assert f"<dt>Until</dt><dd>{words.when(run.wanted.until)}</dd>" in html


def test_it_starts_no_run_like_this(app: Flask, ledger: Ledger, redis_client: Redis) -> None:
    push = dead(ledger)
    new = "/ops/replays/new?act=replay"
    client = sign_in(app, "operator")
    for wrong in ({"why": ""}, {"why": " "}, {"rate": "0"}, {"rate": "x"}, {"limit": "-1"}):
        assert post(client, new, **WHY | wrong).status_code == 400
    assert post(client, "/ops/replays/new?act=restore", **WHY).status_code == 400
    assert post(client, "/ops/replays/nothing/cancel", **WHY).status_code == 404
    viewer = sign_in(app, "viewer")
    assert post(viewer, new, **WHY).status_code == 403
    assert runs.active(ledger.redis) == []
    add(redis_client, "limited", UserRole.OPERATOR, "eu")
    post(client, new, **WHY)
    (run,) = runs.active(ledger.redis)
    limited = sign_in(app, "limited")
    assert post(limited, f"/ops/replays/{run.id}/cancel", **WHY).status_code == 404
    assert run.id not in limited.get("/ops/replays/").text
    assert push.key.order_id not in limited.get("/ops/replays/new?act=replay").text
    post(limited, "/ops/replays/new?act=replay", **WHY)
    theirs = [each for each in runs.active(ledger.redis) if each.by == "limited"]
    assert [each.total for each in theirs] == [0]


@pytest.mark.parametrize("why", ["", "  \t ", "x" * 501])
def test_it_asks_for_a_reason(app: Flask, ledger: Ledger, why: str) -> None:
    push = dead(ledger)
    client = sign_in(app, "operator")
    for act in (path(push.key) + "replay", "/ops/accounts/default/pause"):
        answer = post(client, act, why=why)
        assert (answer.status_code, "Nothing was" in answer.text) == (400, True)
    assert dead_one(ledger, push.key) == push
    assert Holds(ledger.redis).standing("default").hold is None


def test_it_pauses_and_resumes_an_account(app: Flask, ledger: Ledger) -> None:
    client = sign_in(app, "operator")
    post(client, "/ops/accounts/default/pause", why="new credentials")
    hold = Holds(ledger.redis).standing("default").hold
    assert hold
    assert (hold.reason, hold.by, hold.cause) == (
        HoldReason.OPERATOR,
        "operator",
        "new credentials",
    )
    html = client.get("/ops/accounts/").text
    assert "new credentials" in html
    assert "by operator" in html
    post(client, "/ops/accounts/default/resume", why="they work")
    assert Holds(ledger.redis).standing("default").hold is None
    post(client, "/ops/accounts/default/resume", why="again")
    assert "neither held nor paused" in client.get("/ops/accounts/").text
    assert post(client, "/ops/accounts/mars/pause", **WHY).status_code == 404
    assert [act[1:] for act in acts(ledger.redis)] == [
        ("resume", None, "they work"),
        ("pause", None, "new credentials"),
    ]


def test_it_shows_a_change_at_once_however_rarely_the_overview_is_read(
    app: Flask, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the process that made it to all, by any other to who has made it."""
    monkeypatch.setattr("service.recent._QUICK_S", 0.0)
    monkeypatch.setattr("service.recent._SHARE", 1e-9)
    other = make(redis_url)
    client = sign_in(app, "operator")
    colleagues = [sign_in(one, "viewer") for one in (app, other)]

    def is_held(client: FlaskClient) -> bool:
        return "held:" in client.get("/ops/").text

    assert [is_held(one) for one in (client, *colleagues)] == [False] * 3
    post(client, "/ops/accounts/default/pause", **WHY)
    assert [is_held(one) for one in (client, *colleagues)] == [True, True, False]
    session = client.get_cookie("klarna_ack_ops", path="/ops")
    assert session
    elsewhere = other.test_client()
    elsewhere.set_cookie("klarna_ack_ops", session.value, path="/ops")
    assert is_held(elsewhere)


# What is shown


def test_it_shows_what_others_wrote_as_text(app: Flask, ledger: Ledger) -> None:
    push = dead(ledger, error=f"HTTP 403 {NASTY}")
    client = sign_in(app, "operator")
    post(client, "/ops/accounts/default/pause", why=NASTY)
    for page in ("/ops/", "/ops/dead/", path(push.key), "/ops/accounts/", "/ops/audit/"):
        html = client.get(page).text
        assert "<script>alert" not in html
        assert "\u202e" not in html
        assert "\x1b" not in html
    html = client.get(path(push.key)).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202egnp.exe\\x1b[31m" in html


def test_it_tells_why_a_letter_is_dead_and_what_to_do(app: Flask, ledger: Ledger) -> None:
    push = dead(ledger)
    html = sign_in(app, "viewer").get(path(push.key)).text
    assert "Klarna knows this order and refuses to show or acknowledge it." in html
    assert "It belongs to another merchant" in html
    assert "Look at it in the Klarna portal" in html
    assert f"Order {push.key.order_id}" in html


def test_it_finds_an_order_by_its_id(app: Flask, ledger: Ledger) -> None:
    push = dead(ledger)
    client = sign_in(app, "viewer")
    answer = client.get(f"/ops/orders/?q= {push.key.order_id.upper()} ")
    assert answer.location == path(push.key)
    for wanted in ("ffffffff-1111-6222-a333-444455556666", "x", "<b>"):
        html = client.get(f"/ops/orders/?q={wanted}").text
        assert "No order is known" in html
        assert "<b>" not in html


def test_it_finds_orders_by_qualifiers_and_says_what_it_does_not_understand(
    app: Flask, ledger: Ledger
) -> None:
    push, other = dead(ledger), put(ledger, State.RETRYING, now=datetime.now(UTC))
    client = sign_in(app, "viewer")
    html = client.get("/ops/orders/?q=reason:not_allowed since:2h").text
    assert (push.key.order_id in html, other.key.order_id in html) == (True, False)
    html = client.get("/ops/orders/").text
    assert (push.key.order_id in html, other.key.order_id in html) == (True, True)
    html = client.get("/ops/orders/?q=stat:<b>").text
    assert "<mark>stat:&lt;b&gt;</mark>" in html
    assert "Did you mean state:?" in html


def test_it_groups_dead_letters_by_cause(app: Flask, ledger: Ledger) -> None:
    for _ in range(2):
        dead(ledger)
    other = dead(ledger, a_key("norway"))
    client = sign_in(app, "viewer")
    html = client.get("/ops/dead/").text
    counts = re.findall(r'Not allowed</a> <span class="badge">(\d+)<', html)
    assert sorted(counts) == ["1", "2"]
    links = re.findall(r'href="(/ops/dead/\?reason=[^"]*norway[^"]*)"', html)
    shown = client.get(links[0].replace("&amp;", "&")).text
    assert re.findall(r'class="id" href="[^"]*/([0-9a-f-]{36})/"', shown) == [other.key.order_id]


@pytest.mark.parametrize("state", State)
def test_it_lists_orders_by_state_a_page_at_a_time(
    app: Flask, ledger: Ledger, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.ops.orders.PAGE_SIZE", 2)
    now = datetime.now(UTC)
    put_ids = {put(ledger, state, now=now).key.order_id for _ in range(3)}
    client = sign_in(app, "viewer")
    page, seen = f"/ops/orders/?state={state}", set[str]()
    for _ in range(2):
        html = client.get(page).text
        seen |= set(re.findall(r'/ops/orders/default/([0-9a-f-]{36})/"', html))
        following = re.search(r'rel="next" href="([^"]+)"', html)
        page = following[1].replace("&amp;", "&") if following else ""
    assert seen == put_ids
    assert not page


def test_it_lists_accounts_a_page_at_a_time_and_by_a_part_of_their_names(
    app: Flask, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.ops.accounts.PAGE_SIZE", 2)
    for name in ("norway", "sweden", "finland"):
        put(ledger, State.QUEUED, a_key(name))
    Holds(ledger.redis).begin("sweden", HoldReason.OPERATOR, "moving", "anna")
    client = sign_in(app, "viewer")

    def names(page: str) -> list[str]:
        return re.findall(r"<h2>([a-z]+)</h2>", client.get(page).text)

    assert names("/ops/accounts/") == ["sweden", "default"]
    assert names("/ops/accounts/?cursor=2") == ["finland", "norway"]
    assert names("/ops/accounts/?name=WAY") == ["norway"]
    assert names("/ops/accounts/?name=nobody") == []
    html = client.get("/ops/accounts/").text
    assert 'rel="next" href="/ops/accounts/?cursor=2"' in html
    assert "<strong>4</strong> accounts" in html


def test_it_says_how_far_a_page_of_one_accounts_audit_has_looked(
    app: Flask, redis_client: Redis
) -> None:
    client = sign_in(app, "viewer")
    only = AuditEntry("otto", "pause", "us", why="the only one")
    others = [AuditEntry("otto", "pause", "eu")] * audit.LOOK_AT_MOST
    record_acts.append(redis_client, only, *others)
    html = client.get("/ops/audit/?account=us").text
    assert ("the only one" in html, "looks back to" in html) == (False, True)
    following = re.search(r'rel="next" href="([^"]+)"', html)
    assert following
    html = client.get(following[1].replace("&amp;", "&")).text
    assert ("the only one" in html, "looks back to" in html) == (True, False)


@pytest.mark.parametrize(
    "page",
    [
        "/ops/accounts/?cursor=nonsense",
        "/ops/orders/?state=nonsense",
        "/ops/orders/?cursor=nonsense",
        "/ops/dead/?reason=nonsense",
        "/ops/dead/?cursor=nonsense",
        "/ops/dead/?since=nonsense",
        "/ops/audit/?cursor=nonsense",
    ],
)
def test_it_refuses_what_no_page_asks_for(app: Flask, page: str) -> None:
    answer = sign_in(app, "viewer").get(page)
    assert answer.status_code == 400
    assert "nonsense" not in answer.text


@pytest.mark.parametrize("page", ["/ops/x", "/ops/orders/a/b/", "/ops/orders/default/" + "0" * 36])
def test_it_says_that_there_is_no_such_page(app: Flask, page: str) -> None:
    for client in (app.test_client(), sign_in(app, "viewer")):
        answer = client.get(page, follow_redirects=True)
        assert answer.status_code in {200, 404}
        assert answer.content_type.startswith("text/html")


def test_it_judges_in_a_sentence(app: Flask, ledger: Ledger) -> None:
    client = sign_in(app, "viewer")
    html = client.get("/ops/").text
    assert "Something is wrong." in html
    assert "No worker is alive" in html
    dead(ledger)
    assert "1 dead letter waits for you." in client.get("/ops/").text


def test_it_renews_itself_by_fragments(app: Flask) -> None:
    client = sign_in(app, "viewer")
    fragment = client.get("/ops/", headers={"X-Fragment": "1"}).text
    assert "<html" not in fragment
    assert "Orders by state" in fragment
    assert fragment.strip() in client.get("/ops/").text or "Read at" in fragment


def test_it_says_when_redis_is_away() -> None:
    client = make("redis://127.0.0.1:1").test_client()
    answer = client.get("/ops/")
    assert answer.status_code == 503
    assert "Accepted pushes are safe" in answer.text
    assert answer.headers["Retry-After"] == "5"
