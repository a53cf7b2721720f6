"""What a worker reads from the environment: the accounts with their credentials, the policies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from klarna import resolve_api_url
from notify.settings import NotifySettings
from pushes import settings as shared
from pushes.accounts.serving import Share
from pushes.accounts.settings import Account, CallSettings, read_accounts
from pushes.policy import RetryPolicy
from pushes.telemetry.settings import TelemetrySettings


def _check_url(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("no URL of a web server")
    return url


HttpUrlSecret = Annotated[SecretStr, AfterValidator(_check_url)]


class WorkerSettings(CallSettings, NotifySettings, TelemetrySettings):
    """The settings of a worker."""

    concurrency: int = Field(
        128, ge=1, le=256, alias="WORKER_CONCURRENCY", description="a whole number from 1 to 256"
    )
    heartbeat_url: HttpUrlSecret | None = Field(
        None, alias="HEARTBEAT_URL", repr=False, description="a URL that begins with https://"
    )


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
        """The quota of each account: its own, or what Klarna grants."""
        return {
            name: Share.of(
                name, account.rate_per_s or resolve_api_url(account.api_url).default_rate_per_s
            )
            for name, account in self.accounts.items()
        }


def load(environment: Mapping[str, str]) -> Configuration:
    """Read a worker's configuration. Raises ConfigurationError listing every problem at once."""
    problems = shared.Problems()
    settings = problems.collect(lambda: shared.load(WorkerSettings, environment))
    rate_per_s = settings.rate_per_s if settings else None
    accounts = problems.collect(lambda: read_accounts(environment, resolve_api_url, rate_per_s))
    if settings is None or accounts is None:
        raise problems.error()
    return Configuration(settings, accounts)
