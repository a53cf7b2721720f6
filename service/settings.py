"""What the web process reads from the environment: no credentials for Klarna among it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr

from pushes import log
from pushes import settings as shared

_log = log.get(__name__)


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not names:
        raise ValueError("name at least one query parameter")
    return names


class WebSettings(shared.Settings):
    """The settings of the web process, `tokens` being the push token of each account."""

    push_token: SecretStr | None = Field(None, alias="PUSH_TOKEN")
    order_id_params: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        (
            "klarna_order_id",
            "kustom_order_id",
            "order_id",
            "kco_wc_order_id",
            "checkout_uri",
            "sid",
        ),
        alias="PUSH_ORDER_ID_PARAMS",
    )
    proxy_hops: int = Field(0, ge=0, le=10, alias="PROXY_HOPS")
    tokens: Mapping[str, SecretStr | None] = Field(default_factory=dict, repr=False)

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

    Of ACCOUNTS_FILE only the accounts' names and push tokens are kept.
    """
    problems = shared.Problems()
    settings = problems.collect(lambda: shared.load(WebSettings, environment))
    own = problems.collect(lambda: _own_tokens(environment))
    if settings is None or own is None:
        raise problems.error()
    tokens = {name: token or settings.push_token for name, token in own.items()}
    return settings.model_copy(update={"tokens": tokens})


def _own_tokens(environment: Mapping[str, str]) -> dict[str, SecretStr | None]:
    """Read the push token of each account; None where the one of PUSH_TOKEN holds."""
    path = environment.get("ACCOUNTS_FILE")
    if not path:
        return {shared.DEFAULT_ACCOUNT: None}
    tables = shared.read_accounts(Path(path))
    return {name: _token(name, table) for name, table in tables.items()}


def _token(account: str, table: Mapping[str, object]) -> SecretStr | None:
    token = table.get("push_token")
    if token is None:
        return None
    if not isinstance(token, str) or not token:
        raise shared.ConfigurationError(f"accounts.{account}.push_token: must be a text")
    return SecretStr(token)
