"""The merchant accounts as they are configured: in ACCOUNTS_FILE, or by three plain variables.

The web process reads names, push tokens and who pushes. The worker, and the terminal where it
calls Klarna, read the credentials and the policies as well. What an API URL may be is for Klarna's
client to say, which this room does not know: whoever reads brings that rule along.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationInfo,
)

from pushes.accounts.policies import DEFAULT_POLICIES, HandOver, Policies, Style
from pushes.model import is_account
from pushes.policy import OUTAGE_AFTER_FAILURES, RetryPolicy
from pushes.settings import ConfigurationError, Problems, Settings
from pushes.settings.environment import read, read_secret, read_text, validate
from pushes.settings.problems import is_secret

# The account of the three plain KLARNA_… variables.
DEFAULT_ACCOUNT = "default"

# Klarna re-sends for 48 h; a retry later than that would come when nobody waits for it.
_LONGEST_DELAY_S = 48 * 3600

# What passwords are asked for at the least (NIST SP 800-63B): a token is guessed over HTTP only.
_SHORTEST_TOKEN = 8

_Table = TypeVar("_Table", bound="PushTable")

# Raises ValueError, which says what is allowed and does not repeat its argument.
Rule = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Account:
    """How to call Klarna for one merchant account, and what an attempt for it goes by.

    `rate_per_s` is how many requests it may make; None: as many as Klarna grants there.
    """

    api_url: str
    username: str
    password: SecretStr
    rate_per_s: float | None = None
    policies: Policies = DEFAULT_POLICIES


@dataclass(frozen=True, slots=True)
class PushRules:
    """Who may push for one account: the token (None: anybody), and addresses trusted for it.

    `is_forwarded`: a shop's plugin gets the pushes, with their parameters.
    """

    token: SecretStr | None = field(default=None, repr=False)
    pushes_from: tuple[IPvAnyNetwork, ...] = ()
    is_forwarded: bool = False


def _split(value: object) -> object:
    return value.split(",") if isinstance(value, str) and value.strip() else value


def _check_token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if len(text) < _SHORTEST_TOKEN:
        raise ValueError(
            f"it has {len(text)} of at least {_SHORTEST_TOKEN} characters; `openssl rand -hex 16` "
            "prints a good one"
        )
    if not text.isprintable() or " " in text:
        raise ValueError("must not hold spaces or control characters")
    return token


def check_networks(networks: tuple[IPvAnyNetwork, ...]) -> tuple[IPvAnyNetwork, ...]:
    """Return networks whose pushes are trusted; raises ValueError when one is everybody's."""
    for network in networks:
        if network.prefixlen == 0:
            raise ValueError(f"{network} is everybody; name the addresses that push")
    return networks


def _listed(value: object) -> object:
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


def _check_networks_given(
    networks: tuple[IPvAnyNetwork, ...] | None,
) -> tuple[IPvAnyNetwork, ...] | None:
    return None if networks is None else check_networks(networks)


def _check_api_url(value: str, info: ValidationInfo) -> str:
    cast(Rule, info.context)(value)
    return value


def _check_username(value: str) -> str:
    if ":" in value:
        raise ValueError("must not hold a colon: HTTP Basic ends the user name there")
    return value


_DELAYS = f"seconds from 0 to {_LONGEST_DELAY_S}, with commas in between, such as 5,30,300"
_API_URL = "a preset such as klarna-eu or klarna-eu-playground, or an http(s) URL"
_USERNAME = "Klarna's API user name"
_PASSWORD = "Klarna's API password"  # noqa: S105 - says what one is
TOKEN = f"a text of {_SHORTEST_TOKEN} characters or more"
_ADDRESSES = 'a list of addresses or networks, such as ["192.0.2.7", "192.0.2.0/24"]'
_RATE = "a number of requests a second from 1 to 1000000"

Delays = Annotated[
    tuple[Annotated[float, Field(ge=0, le=_LONGEST_DELAY_S)], ...],
    BeforeValidator(_split),
    Field(min_length=1),
]
Rate = Annotated[float, Field(ge=1, le=1_000_000)]
Token = Annotated[SecretStr, AfterValidator(_check_token)]
ApiUrlText = Annotated[str, AfterValidator(_check_api_url)]
Username = Annotated[str, AfterValidator(_check_username)]


class CallSettings(Settings):
    """The settings of whoever calls Klarna."""

    retry_delays_s: Delays = Field(
        RetryPolicy().delays_s, alias="RETRY_DELAYS_S", description=_DELAYS
    )
    not_found_delays_s: Delays = Field(
        RetryPolicy().not_found_delays_s, alias="NOT_FOUND_DELAYS_S", description=_DELAYS
    )
    rate_per_s: Rate | None = Field(None, alias="KLARNA_RATE_PER_S", description=_RATE)
    outage_after_failures: int = Field(
        OUTAGE_AFTER_FAILURES,
        ge=1,
        le=10_000,
        alias="OUTAGE_AFTER_FAILURES",
        description="a whole number from 1 to 10000",
    )


class SenderSettings(BaseModel):
    """How the web process learns who pushes, and whom it trusts for every account."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    proxy_hops: int = Field(
        0, ge=0, le=10, alias="PROXY_HOPS", description="a whole number from 0 to 10"
    )
    trusted_addresses: Annotated[
        tuple[IPvAnyNetwork, ...] | None,
        BeforeValidator(_listed),
        AfterValidator(_check_networks_given),
    ] = Field(
        None,
        alias="PUSHES_FROM",
        description="addresses or networks such as 192.0.2.7 or 192.0.2.0/24, with commas between",
    )


class OneAccount(BaseModel):
    """The account of the three plain variables."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    api_url: ApiUrlText = Field(alias="KLARNA_API_URL", description=_API_URL)
    username: Username = Field(alias="KLARNA_USERNAME", repr=False, description=_USERNAME)
    password: SecretStr = Field(alias="KLARNA_PASSWORD", repr=False, description=_PASSWORD)


class CommonToken(BaseModel):
    """The push token of every account that has none of its own."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    push_token: Token | None = Field(None, alias="PUSH_TOKEN", repr=False, description=TOKEN)


class PushTable(BaseModel):
    """What the web process takes of one [accounts.NAME] table."""

    push_token: Token | None = Field(None, repr=False, description=TOKEN)
    pushes_from: Annotated[tuple[IPvAnyNetwork, ...], AfterValidator(check_networks)] = Field(
        (), description=_ADDRESSES
    )


class AccountTable(PushTable, Policies):
    """One [accounts.NAME] table of ACCOUNTS_FILE, whole."""

    api_url: ApiUrlText = Field(description=_API_URL)
    username: Username = Field(repr=False, description=_USERNAME)
    password: SecretStr = Field(repr=False, description=_PASSWORD)
    rate_per_s: Rate | None = Field(None, description=_RATE)


_HAND_OVER = "hand_over"
_HAND_OVER_FILES = tuple(
    f"{name}_file" for name, field in HandOver.model_fields.items() if is_secret(field)
)
_HAND_OVER_KEYS = (*HandOver.model_fields, *_HAND_OVER_FILES)
_KEYS = (*AccountTable.model_fields, "username_file", "password_file", "push_token_file")


def read_names(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Name the accounts. Raises ConfigurationError when ACCOUNTS_FILE cannot be read."""
    return tuple(sorted(_tables(environment) or (DEFAULT_ACCOUNT,)))


def credential_files(environment: Mapping[str, str]) -> list[Path]:
    """Name the files that hold the accounts and their credentials.

    Raises ConfigurationError when ACCOUNTS_FILE cannot be read.
    """
    variables = ("ACCOUNTS_FILE", "KLARNA_USERNAME_FILE", "KLARNA_PASSWORD_FILE")
    named: list[object] = [environment.get(name) for name in variables]
    for table in (_tables(environment) or {}).values():
        part = table.get(_HAND_OVER)
        named += [table.get("username_file"), table.get("password_file")]
        named += map(part.get, _HAND_OVER_FILES) if isinstance(part, dict) else []
    return [Path(path.strip()) for path in named if isinstance(path, str) and path.strip()]


def read_push_rules(environment: Mapping[str, str]) -> dict[str, PushRules]:
    """Read who may push for each account: by its own push token, or by the common one.

    Raises ConfigurationError listing every problem.
    """
    problems = Problems()
    common = problems.collect(lambda: read(CommonToken, environment))
    tables = problems.collect(lambda: _tables(environment))
    own = problems.collect(lambda: _read_all(PushTable, tables or {DEFAULT_ACCOUNT: {}}, None))
    if common is None or own is None or problems:
        raise problems.error()
    problems.add(*_shared_tokens(own))
    if problems:
        raise problems.error()
    return {
        name: PushRules(
            table.push_token or common.push_token, table.pushes_from, _is_forwarded(tables, name)
        )
        for name, table in own.items()
    }


def _is_forwarded(tables: Mapping[str, Mapping[str, object]] | None, name: str) -> bool:
    """Whether an account has the style that a worker will hold its hand-over to be."""
    part = tables[name].get(_HAND_OVER) if tables else None
    return isinstance(part, dict) and part.get("style") == Style.FORWARD


def _shared_tokens(tables: Mapping[str, PushTable]) -> Iterator[str]:
    """Find tokens that two accounts have as their own: each would open the other's push URL."""
    owners: dict[str, str] = {}
    for name, table in tables.items():
        token = table.push_token.get_secret_value() if table.push_token else None
        if token and (owner := owners.setdefault(token, name)) != name:
            yield (
                f"accounts.{name}.push_token: is that of accounts.{owner}, too; give each its own, "
                "or both none and set PUSH_TOKEN"
            )


def read_accounts(
    environment: Mapping[str, str], api_rule: Rule, rate_per_s: float | None
) -> dict[str, Account]:
    """Read the accounts with their credentials. Raises ConfigurationError listing every problem.

    `api_rule` says whether an API URL is one; `rate_per_s` is for accounts that say nothing of it.
    """
    tables = _tables(environment)
    if tables is None:
        one = read(OneAccount, environment, api_rule)
        return {DEFAULT_ACCOUNT: Account(one.api_url, one.username, one.password, rate_per_s)}
    problems = Problems()
    problems.add(*_set_beside_accounts_file(environment))
    read_all = problems.collect(lambda: _read_all(AccountTable, tables, api_rule))
    if problems or read_all is None:
        raise problems.error()
    return {
        name: Account(
            one.api_url,
            one.username,
            one.password,
            one.rate_per_s or rate_per_s,
            Policies.model_construct(
                **{each: getattr(one, each) for each in Policies.model_fields}
            ),
        )
        for name, one in read_all.items()
    }


def _set_beside_accounts_file(environment: Mapping[str, str]) -> Iterator[str]:
    for one in OneAccount.model_fields.values():
        for name in (str(one.alias), f"{one.alias}_FILE"):
            if environment.get(name):
                yield f"{name}: is set beside ACCOUNTS_FILE; take one of them away"


def _tables(environment: Mapping[str, str]) -> dict[str, Mapping[str, object]] | None:
    """Read the tables of ACCOUNTS_FILE; None when it is not set."""
    path = environment.get("ACCOUNTS_FILE")
    if not path:
        return None
    try:
        document = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"ACCOUNTS_FILE: {path} is not TOML: {error}") from error
    except ValueError as error:
        raise ConfigurationError(f"ACCOUNTS_FILE: {error}") from error
    tables = document.get("accounts")
    if not isinstance(tables, dict) or not tables:
        raise ConfigurationError(f"ACCOUNTS_FILE: {path} has no [accounts.NAME] table")
    for name, table in tables.items():
        if not is_account(name) or not isinstance(table, dict):
            raise ConfigurationError(
                f"ACCOUNTS_FILE: {path}: [accounts.{name[:40]}] must be a table named with 1 to 32"
                " of a-z, 0-9 and '-'"
            )
    return tables


def _read_all(
    model: type[_Table], tables: Mapping[str, Mapping[str, object]], api_rule: Rule | None
) -> dict[str, _Table]:
    problems = Problems()
    found = {
        name: problems.collect(partial(_read_table, model, name, table, api_rule))
        for name, table in tables.items()
    }
    if problems:
        raise problems.error()
    return {name: table for name, table in found.items() if table}


def _read_table(
    model: type[_Table], name: str, table: Mapping[str, object], api_rule: Rule | None
) -> _Table:
    prefix, values, problems = f"accounts.{name}.", dict(table), Problems()
    for key in table.keys() - _KEYS:
        problems.add(f"{prefix}{key}: is no setting of an account; there are {', '.join(_KEYS)}")
    part = values.pop(_HAND_OVER, None) if _HAND_OVER in model.model_fields else None
    if part is not None:
        read_part = partial(_read_hand_over, f"{prefix}{_HAND_OVER}", part)
        values[_HAND_OVER] = problems.collect(read_part)
    _read_secrets(model, values, prefix, problems)
    return validate(model, values, problems, prefix=prefix, context=api_rule)


def _read_hand_over(name: str, part: object) -> HandOver:
    if not isinstance(part, dict):
        raise ConfigurationError(f"{name}: must be a table, [{name}]")
    values, problems = dict(part), Problems()
    for key in part.keys() - _HAND_OVER_KEYS:
        problems.add(f"{name}.{key}: is no setting here; there are {', '.join(_HAND_OVER_KEYS)}")
    _read_secrets(HandOver, values, f"{name}.", problems)
    return validate(HandOver, values, problems, prefix=f"{name}.")


def _read_secrets(
    model: type[BaseModel], values: dict[str, object], prefix: str, problems: Problems
) -> None:
    """Put what stands in the files that `values` name in the place of each secret."""
    for secret in (each for each, one in model.model_fields.items() if is_secret(one)):
        file_name = f"{secret}_file"
        value, path = values.get(secret), values.get(file_name)
        if isinstance(value, str | None) and isinstance(path, str | None):
            values[secret] = problems.collect(
                partial(read_secret, prefix + secret, value, file_name, path)
            )
