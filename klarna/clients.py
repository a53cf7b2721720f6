"""The clients of several merchant accounts, made together."""

from collections.abc import Mapping
from typing import Protocol

from klarna.client import KlarnaClient
from klarna.regions import ApiUrl, resolve_api_url


class Password(Protocol):
    """A text that does not show itself, such as pydantic's `SecretStr`."""

    def get_secret_value(self) -> str:
        """Return the text."""


class Login(Protocol):
    """How the API is reached for one account."""

    @property
    def api_url(self) -> str:
        """A preset's name or a URL."""

    @property
    def username(self) -> str:
        """The API user name."""

    @property
    def password(self) -> Password:
        """Its password."""


def make_clients(
    logins: Mapping[str, Login], *, pool_size: int, version: str
) -> dict[str, KlarnaClient]:
    """Make the client of each account, by name; those of one API share their connections.

    Raises ValueError for what cannot be used.
    """
    clients: dict[str, KlarnaClient] = {}
    first_of: dict[ApiUrl, KlarnaClient] = {}
    for name, login in logins.items():
        api_url = resolve_api_url(login.api_url)
        credentials = login.username, login.password.get_secret_value()
        if first := first_of.get(api_url):
            clients[name] = first.with_credentials(*credentials)
            continue
        clients[name] = first_of[api_url] = KlarnaClient(
            api_url, *credentials, pool_size=pool_size, user_agent=f"klarna-ack/{version}"
        )
    return clients
