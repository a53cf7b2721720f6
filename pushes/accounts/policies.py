"""The policies of an account: what its merchant has decided, the defaults first."""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

# Nothing is left to acknowledge (Klarna docs, "View and change orders", order statuses).
CLOSED = ("CANCELLED", "EXPIRED", "CLOSED")

_STATUS = re.compile(r"[A-Z][A-Z_]*")


def _check_states(states: tuple[str, ...]) -> tuple[str, ...]:
    for state in states:
        if not _STATUS.fullmatch(state):
            raise ValueError(
                f"{state[:40]!r} is no order status of Klarna's; they look like CANCELLED"
            )
    return states


class Style(StrEnum):
    """How an order is handed over to the merchant's own system."""

    SIGNED = "signed"
    FORWARD = "forward"


# Where the URL of a plugin takes the path that followed the account in the push URL.
PATH = "{path}"

# How long the key of a signature is. Source: the Standard Webhooks specification.
_KEY_BYTES = range(24, 65)
_PREFIX = "whsec_"


class HandOver(BaseModel):
    """The [accounts.NAME.hand_over] table: where the account's orders are handed over to, and how.

    `fraud_url` is where fraud decisions go. The URLs are not shown: those of a plugin may hold a
    token.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    style: Style = Field(Style.SIGNED, description='"signed" or "forward"')
    allow_private: bool = Field(default=False, strict=True, description="true or false")
    url: SecretStr = Field(repr=False, description="an https:// URL")
    fraud_url: SecretStr | None = Field(default=None, repr=False, description="an https:// URL")
    secret: SecretStr | None = Field(
        default=None,
        validate_default=True,
        repr=False,
        description="a secret that begins with whsec_",
    )

    @field_validator("url", "fraud_url")
    @classmethod
    def _check_url(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url.get_secret_value())
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise ValueError("is no URL") from None
        if not host or parts.scheme not in {"http", "https"} or parts.fragment:
            raise ValueError("must be an https:// URL with a host and without a fragment")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must hold no user name; a signature says who calls")
        if PATH in parts.netloc or PATH in parts.query:
            raise ValueError(f"may hold {PATH} in its path, and nowhere else")
        if parts.scheme == "http" and not info.data.get("allow_private"):
            raise ValueError("must begin with https://; http:// needs allow_private = true")
        return url

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if info.data.get("style") is Style.FORWARD:
            if secret is not None:
                raise ValueError('is set beside style = "forward", which signs nothing')
            return None
        text = secret.get_secret_value() if secret else ""
        try:
            key = b64decode(text.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            key = b""
        if not text.startswith(_PREFIX) or len(key) not in _KEY_BYTES:
            raise ValueError(
                'must be whsec_ and 24 to 64 bytes in base64; `echo "whsec_$(openssl rand -base64'
                ' 32)"` prints a good one'
            )
        return secret


# What Klarna calls a shop's names of an order, and what may stand for something in one.
_REFERENCES = ("merchant_reference1", "merchant_reference2")
_FILLED_IN = ("{order_id}", "{account}", "{klarna_reference}")
_IN_BRACES = re.compile(r"\{[^{}]*\}?|\}")

# Klarna takes 255 characters; what is filled in has 40 at most.
_REFERENCE_CHARS = 120


def _check_references(value: object) -> object:
    if not isinstance(value, Mapping) or not value or value.keys() - set(_REFERENCES):
        raise ValueError(f"must be a table of {' and '.join(_REFERENCES)}, one of them or both")
    for name, text in value.items():
        if not isinstance(text, str) or not 0 < len(text.strip()) <= _REFERENCE_CHARS:
            raise ValueError(f"{name} must be a text of 1 to {_REFERENCE_CHARS} characters")
        if unknown := set(_IN_BRACES.findall(text)) - set(_FILLED_IN):
            raise ValueError(f"{name} holds {min(unknown)}; it may hold {', '.join(_FILLED_IN)}")
    return value


class Policies(BaseModel):
    """What an attempt for one account goes by; each is a key of its [accounts.NAME] table."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    acknowledge_pending: bool = Field(default=True, strict=True, description="true or false")
    not_needed_states: Annotated[tuple[str, ...], AfterValidator(_check_states)] = Field(
        default=CLOSED,
        description='a list of Klarna\'s order statuses, such as ["CANCELLED", "CAPTURED"]',
    )

    set_merchant_references: Annotated[
        Mapping[str, str] | None, BeforeValidator(_check_references)
    ] = Field(
        default=None, description='a table such as { merchant_reference1 = "{klarna_reference}" }'
    )
    hand_over: HandOver | None = Field(default=None, description="a table with a url")

    def leave_nothing_to_acknowledge(self, status: str) -> bool:
        """Whether an order of this status, one of Klarna's, is left as it is."""
        return status in self.not_needed_states

    def reference(self, name: str, facts: Mapping[str, str | None]) -> str | None:
        """Return what an order is called where nobody has said so; None when nothing is to be set.

        `facts` are what may be filled in; without one that is wanted there is no name.
        """
        text = (self.set_merchant_references or {}).get(name)
        for fact, value in facts.items():
            if text and f"{{{fact}}}" in text:
                text = text.replace(f"{{{fact}}}", value) if value else None
        return text


DEFAULT_POLICIES = Policies()
