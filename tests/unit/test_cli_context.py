from pathlib import Path

import pytest

from cli import context
from pushes.settings import ConfigurationError

URL = "redis://127.0.0.1:1/0"


@pytest.fixture
def accounts_file(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.toml"
    path.write_text("[accounts.us]\n[accounts.eu]\nusername = 'somebody'\n")
    return path


def test_it_has_one_account_when_none_is_named() -> None:
    settings, accounts = context.read({"REDIS_URL": URL, "ACCOUNTS_FILE": ""})
    assert (settings.redis_url, accounts) == (URL, ("default",))


def test_it_reads_the_names_of_the_accounts_and_needs_no_credentials(accounts_file: Path) -> None:
    _, accounts = context.read({"REDIS_URL": URL, "ACCOUNTS_FILE": str(accounts_file)})
    assert accounts == ("eu", "us")


def test_it_reads_a_secret_file(tmp_path: Path) -> None:
    path = tmp_path / "redis-url"
    path.write_text(f"{URL}\n")
    settings, _ = context.read({"REDIS_URL_FILE": str(path)})
    assert settings.redis_url == URL


def test_it_lists_every_problem_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        context.read({"LOG_LEVEL": "loud", "ACCOUNTS_FILE": "/nowhere/accounts.toml"})
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("REDIS_URL: is not set; ")
    assert lines[1].startswith("LOG_LEVEL: ")
    assert lines[2].startswith("ACCOUNTS_FILE: /nowhere/accounts.toml cannot be read")
    assert len(lines) == 3
