"""Looks at everything that has to be right, from the machine where it runs.

Writes one key, which is gone in a minute, and changes nothing else.

What it has no settings for is skipped, so that it also helps where the web process runs, which
holds no credentials for Klarna.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from redis import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from cli.context import Context
from cli.doctor import account_checks, agreement, console, push_url, redis_checks, senders
from cli.doctor.check import Check, Severity
from klarna import make_clients, resolve_api_url
from pushes.access import users
from pushes.accounts.settings import (
    Account,
    CallSettings,
    PushRules,
    credential_files,
    read_accounts,
    read_push_rules,
)
from pushes.model import State
from pushes.read import overview
from pushes.read.overview import Overview
from pushes.read.unreadable import Unreadable
from pushes.read.workers import entries
from pushes.settings import ConfigurationError, Problems, load
from pushes.store import codec, keys
from pushes.store.ledger import Ledger
from pushes.store.server import durability
from pushes.store.server.durability import Fault, fault_of
from pushes.store.server.rights import Role, missing_rights

_PROBE_TTL_S = 60

_CREDENTIALS = ("KLARNA_API_URL", "KLARNA_USERNAME", "KLARNA_PASSWORD", "KLARNA_PASSWORD_FILE")


def examine(
    context: Context, environment: Mapping[str, str], only: str | None, url: str | None = None
) -> list[Check]:
    """Look at Redis, the workers and each account, or `only` one; and at the push URL, if given.

    A Redis that does not answer, or refuses something, fails a check and hides what only it knows;
    everything else is looked at all the same.
    """
    wanted = [only] if only else list(context.configured)
    seen: Overview | None = None
    somebody: str | None = None
    checks: list[Check] = []
    try:
        checks += _redis(context.ledger, _role(context.redis, environment))
        seen = overview.read(context.ledger, datetime.now(UTC), context.configured, in_detail=False)
        checks += [
            *redis_checks.workers(seen.workers),
            *redis_checks.versions(seen.workers, version("klarna-ack")),
            *redis_checks.tasks(seen.workers, seen.at),
            *_settings_age(context.redis, environment),
            *account_checks.alarms(seen.alarms),
            *redis_checks.unreadable(seen.unreadable),
            *redis_checks.unconfigured(list(seen.standings), context.configured),
            *_agreement(context.ledger),
            *_senders_so_far(environment, wanted, context.redis),
        ]
        found = users.everybody(context.redis)
        somebody = next((user.principal.name for user in found), None)
        checks.append(console.users(found))
    except RedisError as error:
        checks += redis_checks.lost(error)
    checks += _senders(environment, wanted)
    checks += _accounts(environment, wanted, seen)
    if url:
        token = read_push_rules(environment).get(wanted[0], PushRules()).token
        secret = token.get_secret_value() if token else None
        checks += push_url.examine(url, secret, datetime.now(UTC))
        checks.append(console.at(url, environment.get("OPS_USER_HEADER"), somebody))
    return checks


def _redis(ledger: Ledger, role: Role) -> Iterator[Check]:
    redis = ledger.redis
    info = redis.info()
    appendfsync: str | None = None
    with suppress(ResponseError):  # an ACL may forbid CONFIG
        appendfsync = redis.config_get("appendfsync").get("appendfsync")
    yield redis_checks.server(info)
    yield redis_checks.persistence(info, appendfsync)
    facts = durability.facts_of(info)
    yield redis_checks.memory(info)
    yield redis_checks.headroom(facts, _settled_in_a_day(redis), ledger.retention)
    yield from redis_checks.replicas(facts)
    yield redis_checks.writes(_write(redis))
    yield redis_checks.rights(role, missing_rights(redis, role))
    seconds, microseconds = redis.time()
    theirs = datetime.fromtimestamp(seconds + microseconds / 1_000_000, UTC)
    yield redis_checks.clocks(datetime.now(UTC), theirs)


def _agreement(ledger: Ledger) -> Iterator[Check]:
    try:
        yield agreement.look(ledger)
    except NoPermissionError as error:
        remedy = "Give the user of REDIS_URL the rights that deploy/redis/users.acl lists."
        yield Check("indexes", Severity.SKIPPED, str(error)[:200], remedy)


def _senders_so_far(
    environment: Mapping[str, str], wanted: list[str], redis: Redis
) -> Iterator[Check]:
    found = senders.settings(environment)
    if not isinstance(found, Check):
        for name in wanted:
            yield from senders.seen_so_far(name, redis, found)


def _senders(environment: Mapping[str, str], wanted: list[str]) -> Iterator[Check]:
    """Look whom the web process trusts. These settings are its own, so set them here, too."""
    found = senders.settings(environment)
    if isinstance(found, Check):
        yield found
        return
    yield senders.hops(found)
    rules = read_push_rules(environment)
    for name in wanted:
        yield senders.trusted(name, found, rules.get(name, PushRules()))


def _settled_in_a_day(redis: Redis) -> int:
    """Count what was settled in the last day."""
    since = codec.epoch(datetime.now(UTC) - timedelta(days=1))
    return sum(
        redis.zcount(keys.index(state), since, "+inf") for state in State if state.is_settled
    )


def _write(redis: Redis) -> Fault | None:
    """Write as the web process does; what is written is gone in a minute."""
    try:
        redis.set(keys.WRITE_PROBE, "1", ex=_PROBE_TTL_S)
    except ResponseError as error:
        return fault_of(error)
    return None


def _settings_age(redis: Redis, environment: Mapping[str, str]) -> Iterator[Check]:
    """Look whether credentials were changed after workers had read them."""
    try:
        files = credential_files(environment)
    except ConfigurationError:  # told elsewhere
        return
    changed: dict[Path, datetime] = {}
    for file in files:
        with suppress(OSError, ValueError):  # told elsewhere
            changed[file] = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    yield from redis_checks.settings_age(entries.read(redis, Unreadable()), changed)


def _accounts(
    environment: Mapping[str, str], wanted: list[str], seen: Overview | None
) -> Iterator[Check]:
    rules = read_push_rules(environment)
    configured = _read_accounts(environment)
    if isinstance(configured, Check):
        yield configured
    for name in wanted:
        yield account_checks.token(name, is_set=rules.get(name, PushRules()).token is not None)
        if not isinstance(configured, Check):
            yield from _calls(name, configured[name])
        if seen is not None:
            yield from account_checks.standing(name, seen.standings[name])


def _read_accounts(environment: Mapping[str, str]) -> dict[str, Account] | Check:
    problems = Problems()
    settings = problems.collect(lambda: load(CallSettings, environment))
    rate_per_s = settings.rate_per_s if settings else None
    accounts = problems.collect(lambda: read_accounts(environment, resolve_api_url, rate_per_s))
    if settings and accounts:
        return accounts
    if not _is_workers(environment) and not environment.get("ACCOUNTS_FILE"):
        remedy = "Run this where the worker runs, with its settings."
        seen = "no credentials for Klarna in this environment"
        return Check("worker settings", Severity.SKIPPED, seen, remedy)
    remedy = "Correct them; a worker ends with exit code 78 until they are right."
    seen = "; ".join(str(problems.error()).splitlines())
    return Check("worker settings", Severity.FAILED, seen, remedy)


def _role(redis: Redis, environment: Mapping[str, str]) -> Role:
    """Return whose rights are wanted: of the user that we come as, if it is one of ours by name."""
    user = redis.connection_pool.connection_kwargs.get("username")
    if user in set(Role):
        return Role(user)
    return Role.WORKER if _is_workers(environment) else Role.OPERATOR


def _is_workers(environment: Mapping[str, str]) -> bool:
    """Whether these are a worker's settings: only workers need credentials for Klarna."""
    return any(environment.get(name) for name in _CREDENTIALS)


def _calls(name: str, account: Account) -> Iterator[Check]:
    api_url = resolve_api_url(account.api_url)
    rate_per_s = account.rate_per_s or api_url.default_rate_per_s
    yield account_checks.api_url(name, api_url, rate_per_s)
    try:
        clients = make_clients({name: account}, pool_size=1, version=version("klarna-ack"))
    except ValueError as error:  # proxies and the CA bundle are the environment's, too
        remedy = "Correct the environment; a worker ends with exit code 78 until it is right."
        yield Check("credentials", Severity.FAILED, str(error), remedy, name)
        return
    with clients[name] as client:
        yield from account_checks.credentials(name, client)
