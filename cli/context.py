"""What the commands work on: the ledger, and the accounts an operator may name.

Needs REDIS_URL and, with several accounts, ACCOUNTS_FILE. Reads no credentials for Klarna.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

import click
from redis import Redis

from pushes.accounts.settings import read_names
from pushes.settings import Problems, PromisingSettings, load
from pushes.store import indexes
from pushes.store.connection import connect
from pushes.store.ledger import Ledger

# Somebody waits in front of a terminal: long enough for a busy Redis. No command is sent twice by
# itself: a replay whose answer was lost would come back as refused, "queued, not dead".
_REDIS_TIMEOUT_S = 3.0
_REDIS_RETRIES = 0


@dataclass(frozen=True, slots=True)
class Context:
    """The ledger and the names of the configured accounts."""

    ledger: Ledger
    configured: tuple[str, ...]

    @property
    def redis(self) -> Redis:
        """The Redis that holds the ledger."""
        return self.ledger.redis

    def known_accounts(self) -> list[str]:
        """Name the configured accounts and those that ever had a push."""
        return sorted({*self.configured, *indexes.accounts(self.ledger.redis)})

    def choose_account(self, name: str | None) -> str:
        """Return the account an order is looked for in: `name`, else the only configured one.

        Raises UsageError for an account that is neither configured nor in the ledger, and
        without a name when several are configured.
        """
        if name is None:
            return self._only_account()
        return name if name in self.configured else self.check_known(name)

    def choose_configured_account(self, name: str | None) -> str:
        """Return the account whose credentials the workers hold, as `choose_account` does."""
        if name is None or name in self.configured:
            return name or self._only_account()
        raise _unknown(name, self.configured)

    def check_known(self, name: str) -> str:
        """Return `name`. Raises UsageError unless the account is configured or in the ledger."""
        known = self.known_accounts()
        if name not in known:
            raise _unknown(name, known)
        return name

    def _only_account(self) -> str:
        if len(self.configured) > 1:
            names = ", ".join(self.configured)
            raise click.UsageError(
                f"Several accounts are configured: {names}. Say which one with --account."
            )
        return self.configured[0]


@contextmanager
def opened() -> Iterator[Context]:
    """Connect with the process's environment. Raises ConfigurationError listing every problem."""
    settings, accounts = read(os.environ)
    redis = connect(settings.redis_url, timeout_s=_REDIS_TIMEOUT_S, retries=_REDIS_RETRIES)
    with closing(redis):
        ledger = Ledger(redis, retention=settings.retention, wait_replicas=settings.wait_replicas)
        yield Context(ledger, accounts)


def read(environment: Mapping[str, str]) -> tuple[PromisingSettings, tuple[str, ...]]:
    """Read the settings and the accounts' names. Raises ConfigurationError as `opened` does."""
    problems = Problems()
    settings = problems.collect(lambda: load(PromisingSettings, environment))
    accounts = problems.collect(lambda: read_names(environment))
    if settings is None or accounts is None:
        raise problems.error()
    return settings, accounts


def _unknown(name: str, known: list[str] | tuple[str, ...]) -> click.UsageError:
    return click.UsageError(f"There is no account {name[:40]!r}. Known: {', '.join(known)}.")
