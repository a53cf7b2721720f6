"""An account as Klarna knows it: the client with its credentials, which the environment holds."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

from klarna import ApiUrl, KlarnaClient, make_clients, resolve_api_url
from pushes.accounts.policies import Policies
from pushes.accounts.settings import Account, CallSettings, read_accounts
from pushes.settings import ConfigurationError, Problems, load


@dataclass(frozen=True, slots=True)
class Merchant:
    """One account: its name and policies, where its orders are, and how they are asked for.

    `rate_per_s` is the quota that it shares with the workers.
    """

    account: str
    api_url: ApiUrl
    rate_per_s: float
    policies: Policies
    client: KlarnaClient


@contextmanager
def calling_for(account: str) -> Iterator[Merchant]:
    """Make the client of a configured account, and close it afterwards.

    Raises ConfigurationError listing every problem: the settings are those of the worker.
    """
    settings = _read(os.environ)[account]
    api_url = resolve_api_url(settings.api_url)
    try:
        clients = make_clients({account: settings}, pool_size=1, version=version("klarna-ack"))
    except ValueError as error:  # proxies and the CA bundle are the environment's, too
        raise ConfigurationError(f"{account}: {error}") from error
    with clients[account] as client:
        rate_per_s = settings.rate_per_s or api_url.default_rate_per_s
        yield Merchant(account, api_url, rate_per_s, settings.policies, client)


def _read(environment: Mapping[str, str]) -> dict[str, Account]:
    problems = Problems()
    settings = problems.collect(lambda: load(CallSettings, environment))
    rate_per_s = settings.rate_per_s if settings else None
    accounts = problems.collect(lambda: read_accounts(environment, resolve_api_url, rate_per_s))
    if settings is None or accounts is None:
        raise problems.error()
    return accounts
