"""What the web process reads from the environment: no credentials for Klarna among it."""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Annotated

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BeforeValidator,
    Field,
    IPvAnyAddress,
    IPvAnyNetwork,
    SecretStr,
)

from pushes import log
from pushes import settings as shared
from pushes.accounts.settings import SenderSettings, read_push_rules
from pushes.settings import ConfigurationError
from pushes.telemetry.settings import TelemetrySettings

_log = log.get(__name__)

_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_PARAMETER = re.compile(r"[A-Za-z0-9._~-]+")


def _split(value: object) -> object:
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


def _check_names(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _PARAMETER.fullmatch(name):
            raise ValueError(
                f"{name[:40]!r} is no name of a query parameter; give names of letters, digits and"
                " '_', with commas in between"
            )
        if name == "token":
            raise ValueError("'token' is where the push token stands; take it out")
    return names


def _check_ops_url(url: AnyHttpUrl | None) -> AnyHttpUrl | None:
    if url is not None and (url.path not in {None, "/"} or url.query or url.fragment):
        raise ValueError("give the address without a path: the console is at /ops/ below it")
    return url


def _check_proxies(
    networks: tuple[IPvAnyNetwork, ...] | None,
) -> tuple[IPvAnyNetwork, ...] | None:
    for network in networks or ():
        if network.prefixlen == 0:
            raise ValueError(f"{network} is everybody; name the addresses of the proxy")
    return networks


def _check_header(name: str) -> str:
    if not _HEADER.fullmatch(name):
        raise ValueError(f"{name[:40]!r} is no name of a header")
    return name


class WebSettings(shared.PromisingSettings, SenderSettings, TelemetrySettings):
    """The settings of the web process.

    `tokens` is the push token of each account; `pushes_from` whom an account trusts besides those
    that `trusted_addresses` names for all; `forwarded` whose pushes a shop's plugin gets.
    """

    order_id_params: Annotated[
        tuple[str, ...], BeforeValidator(_split), AfterValidator(_check_names)
    ] = Field(
        (
            "klarna_order_id",
            "kustom_order_id",
            "order_id",
            "kco_wc_order_id",
            "checkout_uri",
            "sid",
        ),
        alias="PUSH_ORDER_ID_PARAMS",
        description="names of query parameters, with commas in between",
    )
    ops_url: Annotated[AnyHttpUrl | None, AfterValidator(_check_ops_url)] = Field(
        None,
        alias="OPS_URL",
        description="where browsers reach the web process, such as https://ops.example.com",
    )
    user_header: Annotated[str, AfterValidator(_check_header)] | None = Field(
        None,
        alias="OPS_USER_HEADER",
        description="the name of a header, such as X-Forwarded-Email",
    )
    user_header_from: Annotated[
        tuple[IPvAnyNetwork, ...] | None, BeforeValidator(_split), AfterValidator(_check_proxies)
    ] = Field(
        None,
        alias="OPS_USER_HEADER_FROM",
        description="addresses or networks of the proxy that signs people in, with commas between",
    )
    bind: IPvAnyAddress | None = Field(
        None, alias="BIND", description="an IP address of this machine, such as 127.0.0.1"
    )
    port: int = Field(
        8000, ge=1, le=65_535, alias="PORT", description="a whole number from 1 to 65535"
    )
    processes: int = Field(
        2, ge=1, le=256, alias="WEB_CONCURRENCY", description="a whole number from 1 to 256"
    )
    tokens: Mapping[str, SecretStr | None] = Field(default_factory=dict, repr=False)
    pushes_from: Mapping[str, tuple[IPvAnyNetwork, ...]] = Field(default_factory=dict)
    forwarded: frozenset[str] = frozenset()

    @property
    def listens_on(self) -> str:
        """Where the web process listens: behind a proxy nobody else needs to reach it."""
        host = self.bind or IPv4Address("127.0.0.1" if self.proxy_hops else "0.0.0.0")  # noqa: S104 - the default without a proxy
        return f"[{host}]:{self.port}" if host.version == 6 else f"{host}:{self.port}"  # noqa: PLR2004 - IP's own number

    def warn_of_missing_tokens(self) -> None:
        """Say in the log which accounts anybody can push to."""
        if open_to_all := [name for name, token in self.tokens.items() if token is None]:
            _log.warning(
                "push.no_token_set",
                accounts=open_to_all,
                meaning="anybody who knows the push URL can make work for the workers and dead "
                "letters for you, though never an acknowledgement",
                action="set PUSH_TOKEN and add token=… to the push URL at Klarna",
            )


def load(environment: Mapping[str, str]) -> WebSettings:
    """Read the web process's settings. Raises ConfigurationError listing every problem.

    Of ACCOUNTS_FILE only the accounts' names and who may push for each are kept.
    """
    problems = shared.Problems()
    settings = problems.collect(lambda: shared.load(WebSettings, environment))
    rules = problems.collect(lambda: read_push_rules(environment))
    if settings and (settings.user_header is None) != (settings.user_header_from is None):
        problems.add(
            "OPS_USER_HEADER_FROM: it goes with OPS_USER_HEADER, set both or none: the header is"
            " believed only from the addresses of the proxy"
        )
    if settings is None or rules is None or problems:
        raise problems.error()
    tokens = {name: one.token for name, one in rules.items()}
    pushes_from = {name: one.pushes_from for name, one in rules.items() if one.pushes_from}
    forwarded = frozenset(name for name, one in rules.items() if one.is_forwarded)
    return settings.model_copy(
        update={"tokens": tokens, "pushes_from": pushes_from, "forwarded": forwarded}
    )


class Reading:
    """The settings that a process goes on with: those of its last reading that was usable."""

    def __init__(self) -> None:
        self._usable: WebSettings | None = None

    def again(self, environment: Mapping[str, str]) -> WebSettings:
        """Read the settings; while they are not usable, log that, and return those of before.

        Raises ConfigurationError when there are none of before.
        """
        try:
            found = load(environment)
        except ConfigurationError as error:
            if self._usable is None:
                raise
            shared.log_not_reloaded(error)
            return self._usable
        if self._usable is not None:
            _log.info("settings.reloaded", accounts=len(found.tokens))
        self._usable = found
        return found


# gunicorn runs its file of settings anew at each reload; this outlives that.
reading = Reading()
