from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from devtools.local.embedded import EmbeddedServer
from devtools.local.sandbox_control import SandboxControl
from klarna import MisconfigurationCause
from pushes.accounts.holds import Holds
from pushes.model import HoldReason, State
from pushes.store.ledger import Ledger
from tests.builders import a_key, put
from tests.integration.test_cli_support import answer, error, run

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
        ("clock", None): "ok",
        ("workers", None): "failed",
        ("push token", "default"): "ok",
        ("API URL", "default"): "ok",
        ("credentials", "default"): "ok",
        ("account", "default"): "ok",
    }


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


def test_it_asks_for_nothing_without_redis() -> None:
    assert "Redis does not answer" in error(run("redis://127.0.0.1:1/0", "doctor"), 1)
