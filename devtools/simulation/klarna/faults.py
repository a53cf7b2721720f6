"""What Klarna may answer instead of doing what it is asked, and when it does so. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from klarna import (
    Exchange,
    KlarnaError,
    MisconfigurationCause,
    MisconfigurationError,
    NoSuchOrderError,
    RateLimitedError,
    TransientError,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One way not to do it; `takes_s` is how long that takes, None: as long as any answer."""

    status: int | None
    error_of: Callable[[Exchange], KlarnaError]
    takes_s: float | None = None


UNAVAILABLE = Refusal(503, lambda exchange: TransientError("HTTP 503", exchange=exchange))
UNAUTHORIZED = Refusal(
    401,
    lambda exchange: MisconfigurationError(
        MisconfigurationCause.WRONG_CREDENTIALS, exchange=exchange
    ),
)
UNKNOWN = Refusal(404, lambda exchange: NoSuchOrderError("HTTP 404", exchange=exchange))
TOO_MANY = Refusal(429, lambda exchange: RateLimitedError(1.0, exchange=exchange))
# The client gives up after 10 s without a byte.
TIMED_OUT = Refusal(None, lambda exchange: TransientError("timed out", exchange=exchange), 10.0)

#: Asked for each request, with a number from 0 to 1 by chance; None: Klarna does as it is asked.
Faults = Callable[[float], Refusal | None]


def none(_chance: float) -> Refusal | None:
    """Klarna is well."""
    return None


def outage(chance: float) -> Refusal:
    """Klarna fails at everything: mostly 503, a fifth of the calls is never answered."""
    return TIMED_OUT if chance < 0.2 else UNAVAILABLE  # noqa: PLR2004 - said above


def wrong_password(_chance: float) -> Refusal:
    """Klarna does not know us any more."""
    return UNAUTHORIZED


def rare(chance: float) -> Refusal | None:
    """Klarna fails as any service does: one call in a thousand."""
    return UNAVAILABLE if chance < 0.001 else None  # noqa: PLR2004 - said above
