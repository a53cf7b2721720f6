"""Looks at everything that has to be right, from the machine where it runs. Changes nothing.

What it has no settings for is skipped, so that it also helps where the web process runs, which
holds no credentials for Klarna.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version

from redis.exceptions import ResponseError

from cli.context import Context
from cli.doctor import account_checks, redis_checks
from cli.doctor.check import Check, Severity
from klarna import KlarnaClient
from pushes.accounts.holds import Holds
from pushes.read.workers import live_workers
from pushes.settings import ConfigurationError
from pushes.store import indexes
from pushes.store.ledger import Ledger
from service import settings as web
from worker import settings as worker

_CREDENTIALS = ("KLARNA_API_URL", "KLARNA_USERNAME", "KLARNA_PASSWORD", "KLARNA_PASSWORD_FILE")


def examine(context: Context, environment: Mapping[str, str], only: str | None) -> list[Check]:
    """Look at Redis, the workers and each account, or `only` one. Raises RedisError."""
    return [
        *_redis(context.ledger),
        redis_checks.workers(live_workers(context.ledger.redis)),
        *redis_checks.unconfigured(indexes.accounts(context.ledger.redis), context.configured),
        *_accounts(context, environment, [only] if only else list(context.configured)),
    ]


def _redis(ledger: Ledger) -> Iterator[Check]:
    info = ledger.redis.info()
    appendfsync: str | None = None
    with suppress(ResponseError):  # an ACL may forbid CONFIG
        appendfsync = ledger.redis.config_get("appendfsync").get("appendfsync")
    yield redis_checks.server(info)
    yield redis_checks.persistence(info, appendfsync)
    yield redis_checks.memory(info)
    seconds, microseconds = ledger.redis.time()
    theirs = datetime.fromtimestamp(seconds + microseconds / 1_000_000, UTC)
    yield redis_checks.clocks(datetime.now(UTC), theirs)


def _accounts(
    context: Context, environment: Mapping[str, str], wanted: list[str]
) -> Iterator[Check]:
    tokens = web.load(environment).tokens
    configuration = _worker_configuration(environment)
    if isinstance(configuration, Check):
        yield configuration
    for account in wanted:
        yield account_checks.token(account, is_set=tokens.get(account) is not None)
        if isinstance(configuration, worker.Configuration):
            yield from _calls(account, configuration)
        yield from account_checks.standing(account, Holds(context.ledger.redis).standing(account))


def _worker_configuration(environment: Mapping[str, str]) -> worker.Configuration | Check:
    try:
        return worker.load(environment)
    except ConfigurationError as error:
        problems = "; ".join(str(error).splitlines())
        if not any(environment.get(name) for name in (*_CREDENTIALS, "ACCOUNTS_FILE")):
            remedy = "Run this where the worker runs, with its settings."
            seen = "no credentials for Klarna in this environment"
            return Check("worker settings", Severity.SKIPPED, seen, remedy)
        remedy = "Correct them; a worker ends with exit code 78 until they are right."
        return Check("worker settings", Severity.FAILED, problems, remedy)


def _calls(account: str, configuration: worker.Configuration) -> Iterator[Check]:
    settings = configuration.accounts[account]
    yield account_checks.api_url(account, settings.api_url, configuration.rate_per_s(account))
    client = KlarnaClient(
        settings.api_url,
        settings.username,
        settings.password.get_secret_value(),
        pool_size=1,
        version=version("klarna-ack"),
    )
    with client:
        yield account_checks.credentials(account, client)
