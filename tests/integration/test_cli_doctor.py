from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from redis import Redis
from rq.suspension import suspend

from devtools.local.embedded import EmbeddedServer
from devtools.local.loopback import free_port
from devtools.local.processes import Processes
from devtools.local.sandbox_control import SandboxControl
from klarna import MisconfigurationCause
from pushes.access import users
from pushes.access.principals import Principal, UserRole
from pushes.accounts.holds import Holds
from pushes.accounts.sources import SourceNames
from pushes.model import HoldReason, State
from pushes.read import alarms
from pushes.read.alarms import Alarm
from pushes.store import keys
from pushes.store.ledger import Ledger
from tests.builders import NOW, a_key, put
from tests.integration.test_cli_support import answer, run
from worker.periodic.heartbeat import Heartbeat

Checks = dict[tuple[str, str | None], dict[str, str | None]]


@pytest.fixture
def env(sandbox: SandboxControl) -> dict[str, str]:
    return {
        "KLARNA_API_URL": sandbox.url,
        "KLARNA_USERNAME": "sandbox",
        "KLARNA_PASSWORD": "sandbox",
        "PUSH_TOKEN": "a-long-random-text",
    }


def examine(redis_url: str, exit_code: int, *arguments: str, **env: str) -> Checks:
    shown = answer(run(redis_url, "doctor", "--json", *arguments, **env), exit_code)
    return {(check["name"], check["account"]): check for check in shown["checks"]}


def verdicts(checks: Checks) -> dict[tuple[str, str | None], str | None]:
    return {what: check["severity"] for what, check in checks.items()}


def test_it_finds_all_well_but_a_worker(redis_url: str, env: dict[str, str]) -> None:
    assert verdicts(examine(redis_url, 1, **env)) == {
        ("redis server", None): "ok",
        ("redis persistence", None): "ok",
        ("redis memory", None): "ok",
        ("redis headroom", None): "ok",
        ("redis writes", None): "ok",
        ("redis rights", None): "ok",
        ("clock", None): "ok",
        ("workers", None): "failed",
        ("indexes", None): "ok",
        ("console users", None): "ok",
        ("proxy hops", None): "ok",
        ("trusted addresses", "default"): "ok",
        ("push token", "default"): "ok",
        ("API URL", "default"): "ok",
        ("credentials", "default"): "ok",
        ("Klarna's clock", "default"): "ok",
        ("account", "default"): "ok",
    }


def test_it_tries_the_push_url_with_its_token(
    redis_url: str, env: dict[str, str], processes: Processes
) -> None:
    url = processes.web(PUSH_TOKEN=env["PUSH_TOKEN"]).wait_ready().push_url

    right = examine(redis_url, 1, "--url", url, **env)
    wrong = examine(redis_url, 1, "--url", url, **{**env, "PUSH_TOKEN": "another-text"})
    nobody = examine(redis_url, 1, "--url", f"http://127.0.0.1:{free_port()}/push", **env)

    seen = [str(checks["push URL", None]["seen"]) for checks in (right, wrong, nobody)]
    assert seen == [
        "reached, and the token is taken",
        "reached, and refused: 404",
        "no answer (ConnectionError)",
    ]


def test_it_looks_at_what_workers_tell(
    redis_client: Redis, redis_url: str, env: dict[str, str]
) -> None:
    worker = Heartbeat(redis_client, Ledger(redis_client).rq)
    worker.register_birth()  # type: ignore[no-untyped-call]  # RQ gives it no types
    worker.beat(0, 0, {"due": datetime.now(UTC), "prune": NOW})
    redis_client.hset(worker.key, keys.WORKER_VERSION_FIELD, "0.0.9")

    checks = examine(redis_url, 1, **env)

    assert checks["worker versions", None]["severity"] == "warning"
    tasks = checks["periodic tasks", None]
    assert tasks["severity"] == "failed"
    assert str(tasks["seen"]).startswith("without success: prune for ")


def test_it_tries_the_credentials_with_one_call_that_changes_nothing(
    redis_url: str, env: dict[str, str], sandbox: SandboxControl
) -> None:
    examine(redis_url, 1, **env)

    (call,) = sandbox.requests()
    assert (call["operation"], call["status"]) == ("get_order", 404)


@pytest.mark.parametrize(
    ("fault", "params", "severity", "seen"),
    [
        ("unauthorized_html", {}, "failed", MisconfigurationCause.WRONG_CREDENTIALS.sentence),
        ("forbidden_html", {}, "failed", MisconfigurationCause.FORBIDDEN.sentence),
        ("redirect", {}, "failed", MisconfigurationCause.REDIRECTED.sentence),
        ("html_404", {}, "failed", MisconfigurationCause.NOT_AN_API.sentence),
        ("status", {"status": 503}, "warning", "could not be told: HTTP 503"),
        ("rate_limited", {"retry_after_s": 1}, "warning", "could not be told: Klarna asks for"),
        ("empty_404", {}, "ok", "Klarna takes them"),
    ],
)
def test_it_says_what_klarna_thinks_of_the_credentials(  # noqa: PLR0913, PLR0917 - a row of the table
    redis_url: str,
    env: dict[str, str],
    sandbox: SandboxControl,
    fault: str,
    params: dict[str, Any],
    severity: str,
    seen: str,
) -> None:
    sandbox.add_fault(fault, operation="any", params=params)

    check = examine(redis_url, 1, **env)["credentials", "default"]

    assert check["severity"] == severity
    assert str(check["seen"]).startswith(seen)
    assert (check["remedy"] is None) == (severity == "ok")


def test_it_shows_no_secret(redis_url: str, env: dict[str, str], sandbox: SandboxControl) -> None:
    secret = env | {"KLARNA_PASSWORD": "a-secret-password"}
    sandbox.settings(password="another")

    shown = run(redis_url, "doctor", **secret).output

    assert "failed    credentials" in shown
    assert "a-secret-password" not in shown
    assert "a-long-random-text" not in shown
    assert redis_url.split("@", maxsplit=1)[0] not in shown


def test_it_skips_what_it_has_no_settings_for(redis_url: str) -> None:
    checks = examine(redis_url, 1)

    assert checks["worker settings", None]["severity"] == "skipped"
    assert ("credentials", "default") not in checks
    assert checks["push token", "default"]["severity"] == "warning"


def test_it_lists_what_is_wrong_with_the_workers_settings(redis_url: str) -> None:
    check = examine(redis_url, 1, KLARNA_USERNAME="sandbox")["worker settings", None]

    assert check["severity"] == "failed"
    assert "KLARNA_PASSWORD: is not set" in str(check["seen"])


def test_it_says_which_variable_of_the_environment_cannot_be_used(
    redis_url: str, env: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    check = examine(redis_url, 1, **env)["credentials", "default"]
    assert check["severity"] == "failed"
    assert str(check["seen"]).startswith("REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names no file")


def test_it_tells_of_held_and_of_forgotten_accounts(
    redis_client: Redis, redis_url: str, env: dict[str, str]
) -> None:
    put(Ledger(redis_client), State.QUEUED, a_key("closed-shop"))
    Holds(redis_client).begin("default", HoldReason.CREDENTIALS, "HTTP 401")

    checks = examine(redis_url, 1, **env)

    assert checks["account", "closed-shop"]["severity"] == "warning"
    assert checks["account", "default"]["severity"] == "failed"
    assert "HTTP 401" in str(checks["account", "default"]["seen"])


def test_it_notices_a_redis_that_forgets(env: dict[str, str]) -> None:
    with EmbeddedServer() as server, Redis.from_url(server.url) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
        redis.config_set("appendonly", "no")

        found = verdicts(examine(server.url, 1, **env))

    assert found["redis persistence", None] == "failed"
    assert found["redis memory", None] == "failed"


def test_it_looks_at_one_of_several_accounts(
    redis_url: str, sandbox: SandboxControl, tmp_path: Path
) -> None:
    accounts = tmp_path / "accounts.toml"
    table = f'api_url = "{sandbox.url}"\nusername = "sandbox"\npassword = "sandbox"\n'
    accounts.write_text(f"[accounts.eu]\n{table}\n[accounts.us]\n{table}")

    checks = examine(redis_url, 1, "--account", "us", ACCOUNTS_FILE=str(accounts))

    assert {account for _, account in checks} == {None, "us"}


def test_it_looks_at_the_rest_when_redis_is_away(env: dict[str, str]) -> None:
    checks = examine("redis://127.0.0.1:1/0", 1, **env)

    assert verdicts(checks) == {
        ("redis", None): "failed",
        ("workers", None): "skipped",
        ("proxy hops", None): "ok",
        ("trusted addresses", "default"): "ok",
        ("push token", "default"): "ok",
        ("API URL", "default"): "ok",
        ("credentials", "default"): "ok",
        ("Klarna's clock", "default"): "ok",
    }
    lost = checks["redis", None]
    assert str(lost["seen"]).startswith("Redis does not answer (ConnectionError: ")
    assert lost["remedy"] == (
        "Bring Redis back, or correct REDIS_URL. Accepted pushes are safe in Redis."
    )


def test_it_fails_while_redis_refuses_writes(env: dict[str, str]) -> None:
    with EmbeddedServer() as server, Redis.from_url(server.url) as redis:
        redis.config_set("maxmemory", 1)

        check = examine(server.url, 1, **env)["redis writes", None]

    assert (check["severity"], check["seen"]) == ("failed", "Redis is full and refuses to write")
    assert check["remedy"] == (
        "Raise its maxmemory, or make room. Pushes are answered 503 until then."
    )


@pytest.mark.parametrize(
    ("taken", "for_worker", "severity", "seen"),
    [
        ("-zadd", False, "failed", "Redis forbids its user what is needed (+zadd)"),
        ("-blmove", True, "failed", "Redis forbids its user what is needed (+blmove)"),
        ("-blmove", False, "ok", "all that the operator needs"),
        ("-flushall", True, "ok", "all that the worker needs"),
    ],
)
def test_it_looks_for_rights_that_the_user_lacks(  # noqa: PLR0913, PLR0917 - a row of the table
    redis_client: Redis,
    redis_url: str,
    env: dict[str, str],
    taken: str,
    for_worker: bool,  # noqa: FBT001 - as above
    severity: str,
    seen: str,
) -> None:
    rules = ("reset", "on", ">secret", "allkeys", "+@all", taken)
    redis_client.execute_command("ACL", "SETUSER", "limited", *rules)  # type: ignore[no-untyped-call]
    url = f"redis://limited:secret@{redis_url.rpartition('@')[2]}"

    check = examine(url, 1, **(env if for_worker else {}))["redis rights", None]

    redis_client.acl_deluser("limited")
    assert (check["severity"], check["seen"]) == (severity, seen)


def test_it_wants_no_rights_of_workers_for_the_user_of_the_terminal(
    redis_client: Redis, redis_url: str, env: dict[str, str]
) -> None:
    rules = ("reset", "on", ">secret", "allkeys", "+@all", "-blmove")
    redis_client.execute_command("ACL", "SETUSER", "operator", *rules)  # type: ignore[no-untyped-call]
    url = f"redis://operator:secret@{redis_url.rpartition('@')[2]}"

    check = examine(url, 1, **env)["redis rights", None]

    redis_client.acl_deluser("operator")
    assert check["severity"] == "ok"


def test_it_tells_of_facts_that_cannot_be_read(redis_client: Redis, redis_url: str) -> None:
    redis_client.set("klarna-ack:alarm:pushes_not_reaching_us", "now")

    check = examine(redis_url, 1)["redis contents", None]

    assert check["severity"] == "warning"
    assert str(check["seen"]).startswith("an alarm cannot be read")


def test_it_fails_while_an_alarm_is_raised(redis_client: Redis, redis_url: str) -> None:
    alarms.set_off(redis_client, Alarm.PUSHES_REFUSED, NOW)

    alarm = examine(redis_url, 1)["alarm", None]

    assert alarm["severity"] == "failed"
    assert str(alarm["seen"]).startswith("pushes_refused since 2026-03-01T12:00:00.000Z: Pushes")
    assert alarm["remedy"] == Alarm.PUSHES_REFUSED.action


def test_it_tells_that_workers_are_suspended(redis_client: Redis, redis_url: str) -> None:
    suspend(redis_client)

    assert "suspended by `rq suspend`" in str(examine(redis_url, 1)["workers", None]["seen"])


def test_it_looks_at_dns_before_it_suspects_klarna(redis_url: str, env: dict[str, str]) -> None:
    nowhere = env | {"KLARNA_API_URL": "https://no-such-host.invalid"}

    check = examine(redis_url, 1, **nowhere)["credentials", "default"]

    assert (check["severity"], check["seen"]) == (
        "warning",
        "could not be told: no answer: host name not found",
    )
    assert check["remedy"] == ("Correct KLARNA_API_URL, or this machine's DNS; or set HTTPS_PROXY.")


def test_it_looks_at_the_path_to_klarna_when_nobody_answers(
    redis_url: str, env: dict[str, str]
) -> None:
    nobody = env | {"KLARNA_API_URL": f"http://127.0.0.1:{free_port()}"}

    remedy = examine(redis_url, 1, **nobody)["credentials", "default"]["remedy"]

    assert str(remedy).startswith("Look at the path from here to Klarna (proxy, firewall)")


def test_it_notices_that_its_clock_is_not_klarnas(redis_url: str, env: dict[str, str]) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2), tick=True):
        check = examine(redis_url, 1, **env)["Klarna's clock", "default"]

    assert check["severity"] == "warning"
    assert str(check["seen"]) in {"120 s from Klarna's", "121 s from Klarna's"}


def test_it_notices_what_does_not_agree_and_changes_nothing(
    redis_client: Redis, redis_url: str
) -> None:
    key = a_key()
    put(Ledger(redis_client), State.RETRYING, key, datetime.now(UTC))
    redis_client.zrem(keys.index(State.RETRYING), keys.job_id(key))

    check = examine(redis_url, 1)["indexes", None]

    assert (check["severity"], check["seen"]) == ("warning", "not as the records say: 1 missing")
    assert redis_client.zscore(keys.index(State.RETRYING), keys.job_id(key)) is None


def test_it_notices_that_a_proxy_is_not_counted(
    redis_url: str, env: dict[str, str], redis_client: Redis, processes: Processes
) -> None:
    web = processes.web(PUSH_TOKEN=env["PUSH_TOKEN"], PROXY_HOPS="1").wait_ready()
    direct = processes.web(PUSH_TOKEN=env["PUSH_TOKEN"]).wait_ready()
    redis_client.zadd(keys.sources("default"), {str(SourceNames().of("127.0.0.1")): 3})

    believing = examine(redis_url, 1, "--url", web.push_url, PROXY_HOPS="1", **env)
    right = examine(redis_url, 1, "--url", direct.push_url, **env)

    assert believing["proxy hops", None]["seen"] == (
        "PROXY_HOPS is 1: a sender is whom the proxy in front names"
    )
    assert believing["proxy hops at the push URL", None]["severity"] == "failed"
    assert believing["senders", "default"]["severity"] == "warning"
    assert right["proxy hops at the push URL", None]["severity"] == "ok"
    assert right["proxy hops at the push URL", None]["seen"] == (
        "a push from here is seen to come from 127.0.0.1, as it does"
    )


def test_it_tells_nobody_without_the_token_how_he_is_seen(
    redis_url: str, env: dict[str, str], processes: Processes
) -> None:
    web = processes.web(PUSH_TOKEN=env["PUSH_TOKEN"]).wait_ready()

    checks = examine(redis_url, 1, "--url", web.push_url, PUSH_TOKEN="another-text")

    assert checks["proxy hops at the push URL", None]["severity"] == "skipped"


def test_it_lists_whom_an_account_trusts(redis_url: str, env: dict[str, str]) -> None:
    checks = examine(redis_url, 1, PUSHES_FROM="198.51.100.0/24", **env)
    wrong = examine(redis_url, 1, PUSHES_FROM="the shop", **env)

    assert checks["trusted addresses", "default"]["seen"] == (
        "Klarna's 14; 198.51.100.0/24 of PUSHES_FROM"
    )
    assert wrong["proxy hops", None]["severity"] == "failed"


def test_it_notices_a_console_that_anybody_sees(
    redis_client: Redis, redis_url: str, env: dict[str, str], processes: Processes
) -> None:
    header = {"OPS_USER_HEADER": "X-Forwarded-User"}
    somebody = Principal("ada@example.com", UserRole.OPERATOR)
    users.add(redis_client, somebody, password=None, by="tester", now=NOW)
    lets_in = processes.web(OPS_USER_HEADER_FROM="127.0.0.1", **header, **env).wait_ready()
    asks = processes.web(**env).wait_ready()

    open_to_all = examine(redis_url, 1, "--url", lets_in.push_url, **header, **env)
    closed = examine(redis_url, 1, "--url", asks.push_url, **header, **env)

    assert open_to_all["console", None]["severity"] == "failed"
    assert closed["console", None]["severity"] == "warning"
    assert closed["console users", None] == {
        "name": "console users",
        "account": None,
        "severity": "warning",
        "seen": "1, 0 of them admin",
        "remedy": "`klarna-ack user add NAME --role admin`: only an admin sees who has access.",
    }
