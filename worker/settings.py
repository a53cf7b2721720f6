"""What a worker reads from the environment: the accounts with their credentials, the policies."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)

from klarna import ApiUrl, resolve_api_url
from pushes import settings as shared
from pushes.policy import OUTAGE_AFTER_FAILURES, RetryPolicy
from worker.claiming.quota import Share

# Klarna re-sends for 48 h; a retry later than that would come when nobody waits for it.
_LONGEST_DELAY_S = 48 * 3600


def _split(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


Delays = Annotated[
    tuple[Annotated[float, Field(ge=0, le=_LONGEST_DELAY_S)], ...],
    BeforeValidator(_split),
    Field(min_length=1),
]


def _not_blank(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().strip():
        raise ValueError("must not be blank")
    return value


Rate = Annotated[float, Field(ge=1, le=1_000_000)]
Secret = Annotated[SecretStr, AfterValidator(_not_blank)]
Url = Annotated[ApiUrl, BeforeValidator(lambda text: resolve_api_url(str(text)))]


class WorkerSettings(shared.Settings):
    """The settings of a worker, and of the terminal where it calls Klarna."""

    retry_delays_s: Delays = Field(RetryPolicy().delays_s, alias="RETRY_DELAYS_S")
    not_found_delays_s: Delays = Field(RetryPolicy().not_found_delays_s, alias="NOT_FOUND_DELAYS_S")
    concurrency: int = Field(128, ge=1, le=256, alias="WORKER_CONCURRENCY")
    rate_per_s: Rate | None = Field(None, alias="KLARNA_RATE_PER_S")
    outage_after_failures: int = Field(
        OUTAGE_AFTER_FAILURES, ge=1, le=10_000, alias="OUTAGE_AFTER_FAILURES"
    )


class _OneAccount(BaseModel):
    """The account of the three plain variables."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    api_url: Url = Field(alias="KLARNA_API_URL")
    username: Annotated[str, Field(min_length=1)] = Field(alias="KLARNA_USERNAME")
    password: Secret = Field(alias="KLARNA_PASSWORD")


class _AccountTable(BaseModel):
    """One [accounts.NAME] table of ACCOUNTS_FILE."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, extra="forbid")

    api_url: Url
    username: Annotated[str, Field(min_length=1)]
    password: Secret
    push_token: SecretStr | None = None
    rate_per_s: Rate | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """How to call Klarna for one merchant account; `rate_per_s` is what it says of itself."""

    api_url: ApiUrl
    username: str
    password: SecretStr
    rate_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything a worker needs to know."""

    settings: WorkerSettings
    accounts: Mapping[str, Account]

    @property
    def retry_policy(self) -> RetryPolicy:
        """The delays of the settings."""
        return RetryPolicy(self.settings.retry_delays_s, self.settings.not_found_delays_s)

    @property
    def shares(self) -> dict[str, Share]:
        """The quota of each account: its own, else the setting's, else what Klarna grants."""
        return {name: Share.of(name, self.rate_per_s(name)) for name in self.accounts}

    def rate_per_s(self, name: str) -> float:
        """Say how many requests a second one account may make."""
        account = self.accounts[name]
        return account.rate_per_s or self.settings.rate_per_s or account.api_url.default_rate_per_s


def load(environment: Mapping[str, str]) -> Configuration:
    """Read a worker's configuration. Raises ConfigurationError listing every problem at once."""
    problems = shared.Problems()
    settings = problems.collect(lambda: shared.load(WorkerSettings, environment))
    accounts = problems.collect(lambda: _accounts(environment))
    if settings is None or accounts is None:
        raise problems.error()
    return Configuration(settings, accounts)


def _accounts(environment: Mapping[str, str]) -> dict[str, Account]:
    path = environment.get("ACCOUNTS_FILE")
    if not path:
        values = shared.with_secret_files(environment)
        return {shared.DEFAULT_ACCOUNT: _account(_OneAccount, values, "")}
    problems = shared.Problems()
    accounts = {
        name: problems.collect(partial(_read_table, name, table))
        for name, table in shared.read_accounts(Path(path)).items()
    }
    complete = {name: account for name, account in accounts.items() if account}
    if len(complete) < len(accounts):
        raise problems.error()
    return complete


def _read_table(name: str, table: Mapping[str, object]) -> Account:
    return _account(_AccountTable, _with_password(name, table), f"accounts.{name}.")


def _account(
    model: type[_OneAccount | _AccountTable], values: Mapping[str, Any], prefix: str
) -> Account:
    try:
        read = model.model_validate(values)
    except ValidationError as error:
        raise shared.ConfigurationError("\n".join(shared.describe(error, prefix))) from None
    return Account(read.api_url, read.username, read.password, getattr(read, "rate_per_s", None))


def _with_password(name: str, table: Mapping[str, object]) -> dict[str, object]:
    """Replace `password_file` by what the file holds."""
    values = dict(table)
    path = values.pop("password_file", None)
    if path is None:
        return values
    if "password" in values:
        raise shared.ConfigurationError(
            f"accounts.{name}: set either password or password_file, not both"
        )
    try:
        values["password"] = Path(str(path)).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise shared.ConfigurationError(f"accounts.{name}.password_file: {error}") from error
    return values
