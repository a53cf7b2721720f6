from pathlib import Path

import pytest

from pushes.settings import ConfigurationError
from service.settings import load as load_web
from worker.settings import load as load_worker

REDIS = {"REDIS_URL": "redis://localhost"}
KLARNA = {
    "KLARNA_API_URL": "klarna-eu-playground",
    "KLARNA_USERNAME": "K1",
    "KLARNA_PASSWORD": "shibboleth",
}


def problems(load: object, environment: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(environment)  # type: ignore[operator]  # either loader
    assert "shibboleth" not in str(caught.value)
    return str(caught.value).splitlines()


def test_it_names_every_problem_of_a_worker_at_once() -> None:
    environment = {"RETRY_DELAYS_S": "5,x", "WORKER_CONCURRENCY": "0", "KLARNA_PASSWORD": "  "}

    assert [line.split(":")[0] for line in problems(load_worker, environment)] == [
        "REDIS_URL",
        "RETRY_DELAYS_S.1",
        "WORKER_CONCURRENCY",
        "KLARNA_API_URL",
        "KLARNA_USERNAME",
        "KLARNA_PASSWORD",
    ]


def test_it_names_every_problem_of_every_account_at_once(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(
        '[accounts.one]\napi_url = "nowhere"\nusername = "u"\npassword = "shibboleth"\n'
        '[accounts.two]\napi_url = "kustom"\npassword_file = "/no/such/file"\nusrname = "u"\n'
    )

    found = problems(load_worker, {"ACCOUNTS_FILE": str(accounts)})

    assert found[0] == "REDIS_URL: is not set"
    assert found[1].startswith("accounts.one.api_url: not an API URL: allowed are")
    assert found[2].startswith("accounts.two.password_file: ")


def test_it_names_every_problem_of_the_web_process_at_once(tmp_path: Path) -> None:
    missing = tmp_path / "accounts.toml"

    found = problems(load_web, {"LOG_LEVEL": "loud", "ACCOUNTS_FILE": str(missing)})

    assert [line.split(":")[0] for line in found] == ["REDIS_URL", "LOG_LEVEL", "ACCOUNTS_FILE"]


@pytest.mark.parametrize("url", ["http://x", "redis+sentinel://h1", "redis+sentinel:///m", "nope"])
def test_it_refuses_what_is_no_redis_url(url: str) -> None:
    assert problems(load_web, {"REDIS_URL": url})[0].startswith("REDIS_URL: ")


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "rediss://user:secret@host:6380/2",
        "unix:///run/redis.sock?db=1",
        "redis+sentinel://:secret@h1:26379,h2/mymaster/1",
    ],
)
def test_it_takes_every_kind_of_redis_url(url: str) -> None:
    assert load_web({"REDIS_URL": url}).redis_url == url


def test_it_reads_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("shibboleth\n")
    environment = {**REDIS, **KLARNA, "KLARNA_PASSWORD_FILE": str(tmp_path / "password")}

    assert problems(load_worker, environment) == [
        "KLARNA_PASSWORD: set either KLARNA_PASSWORD or KLARNA_PASSWORD_FILE, not both"
    ]
    environment["KLARNA_PASSWORD"] = ""
    account = load_worker(environment).accounts["default"]
    assert account.password.get_secret_value() == "shibboleth"
    assert account.api_url.url == "https://api.playground.klarna.com"


def test_it_gives_each_account_its_own_push_token_or_the_common_one(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text('[accounts.one]\npush_token = "own"\n[accounts.two]\n')

    settings = load_web({**REDIS, "ACCOUNTS_FILE": str(accounts), "PUSH_TOKEN": "common"})

    tokens = {name: token and token.get_secret_value() for name, token in settings.tokens.items()}
    assert tokens == {"one": "own", "two": "common"}


def test_it_never_shows_a_secret() -> None:
    settings = load_web({"REDIS_URL": "redis://:hunter2@localhost", "PUSH_TOKEN": "shibboleth"})

    assert "hunter2" not in repr(settings)
    assert "shibboleth" not in repr(settings)
