"""What can go wrong between us and Klarna. The class is the decision: nobody reads a status code.

    KlarnaError
    ├── TransientError        try again later: 408, 409, 425, 5xx, time-out, reset, DNS, unreadable
    ├── RateLimitedError      try again after the pause: 429
    ├── LocalError            ours, says nothing about Klarna: no open file, memory or port is left
    ├── MisconfigurationError no order of this account can pass until an operator acts
    └── PermanentError        this order will never pass
        ├── NoSuchOrderError      404: unknown, or not yet visible
        ├── NotAllowedError       403 on a write: the order's state forbids it
        └── RejectedError         any other 4xx

Every error carries the trace of its call, an `Exchange`. ValueError stays what it is: a mistake of
the caller, found before anything was sent.
"""

from enum import StrEnum
from typing import Self

from klarna.calls import Exchange


class MisconfigurationCause(StrEnum):
    """What an operator has to look at, with the sentence that says so."""

    sentence: str

    def __new__(cls, value: str, sentence: str) -> Self:
        """Keep the sentence beside the word, which alone is the value."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    WRONG_CREDENTIALS = (
        "wrong_credentials",
        (
            "Klarna refuses the user name and password (401): mistyped, revoked,"
            " or made for another region or environment than this API URL."
        ),
    )
    FORBIDDEN = (
        "forbidden",
        (
            "Klarna knows these credentials but lets them do nothing here (403): Order"
            " Management is not in the contract, or a firewall in between refuses us."
        ),
    )
    REDIRECTED = (
        "redirected",
        (
            "The API URL answers with a redirect (3xx), which is never followed:"
            " wrong host or path, or http where https is meant."
        ),
    )
    NOT_AN_API = (
        "not_an_api",
        (
            "The API URL answers with a page instead of JSON (404):"
            " this host or path is not Klarna's API."
        ),
    )
    UNTRUSTED_CERTIFICATE = (
        "untrusted_certificate",
        (
            "The certificate of the API URL is not trusted: wrong host, a wrong clock, or a proxy"
            " that opens TLS, whose authority REQUESTS_CA_BUNDLE has to name."
        ),
    )


class KlarnaError(Exception):
    """A call did not succeed; `exchange` is its trace, None when a test made the error."""

    def __init__(self, message: str, *, exchange: Exchange | None = None) -> None:
        super().__init__(message)
        self.exchange = exchange

    @property
    def correlation_id(self) -> str | None:
        """What Klarna's support asks for; None when no answer came, or it named none."""
        return self.exchange.correlation_id if self.exchange else None


class TransientError(KlarnaError):
    """Nobody knows whether it took effect; the same call with the same key may be sent again."""


class RateLimitedError(KlarnaError):
    """Klarna did nothing and asks for a pause; `retry_after_s` is None when it did not say."""

    def __init__(self, retry_after_s: float | None, *, exchange: Exchange | None = None) -> None:
        pause = "a pause" if retry_after_s is None else f"a pause of {retry_after_s:g} s"
        super().__init__(f"Klarna asks for {pause} (429)", exchange=exchange)
        self.retry_after_s = retry_after_s


class LocalError(KlarnaError):
    """This machine or process could not make the call; the message tells what to raise.

    It says nothing about Klarna, the account or the order. The call may have taken effect, as
    with TransientError, and may be sent again with the same key.
    """


class MisconfigurationError(KlarnaError):
    """The account, not the order, is at fault; the message tells an operator the likely cause."""

    def __init__(self, cause: MisconfigurationCause, *, exchange: Exchange | None = None) -> None:
        super().__init__(cause.sentence, exchange=exchange)
        self.cause = cause


class PermanentError(KlarnaError):
    """Sending the same call again will not help this order."""


class NoSuchOrderError(PermanentError):
    """404: forged, another merchant's or region's, or not yet visible to Order Management."""


class NotAllowedError(PermanentError):
    """403 on a write: the order's state forbids it (cancelled, expired, closed, …)."""


class RejectedError(PermanentError):
    """Any other 4xx: Klarna understood us and says no."""
