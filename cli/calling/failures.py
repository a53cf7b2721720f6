"""What is told of a call that failed: what happened, why, what to do, the correlation id."""

from klarna import (
    KlarnaError,
    LocalError,
    MisconfigurationError,
    NoSuchOrderError,
    NotAllowedError,
    PermanentError,
    RateLimitedError,
    RejectedError,
)
from pushes.model import PushKey

# Why a call failed and what helps, by the class of the error; the last one is for all others.
_EXPLAINED: tuple[tuple[type[KlarnaError], str, str], ...] = (
    (
        MisconfigurationError,
        "the account, not the order, is at fault; nothing was done.",
        "Correct its settings; `klarna-ack doctor --account {account}` tests them.",
    ),
    (
        RateLimitedError,
        "the account has used up its quota of requests; nothing was done.",
        "Run this again after the pause.",
    ),
    (
        LocalError,
        "this machine could not make the call; that says nothing about the order.",
        "Correct this machine as the message says, then run this again.",
    ),
    (
        NoSuchOrderError,
        "Klarna does not know this order in this account and region, or does not show it yet.",
        "Check the id and --account. A new order: run this again in a minute.",
    ),
    (
        NotAllowedError,
        "the order's state or Klarna's risk assessment forbids it; nothing was done.",
        "Look at the order with {look}.",
    ),
    (
        RejectedError,
        "Klarna takes the request for wrong; nothing was done.",
        "Correct what the message names, then run this again.",
    ),
    (
        KlarnaError,
        "Klarna did not answer, or not in a way that can be read.",
        "Run this again in a minute, or look at the order with {look}.",
    ),
)


def tell(error: KlarnaError, what: str, key: PushKey, *, remedy: str | None = None) -> str:
    """Tell what a failure of `what` means; `remedy` stands in for the usual one."""
    kind, account = type(error), key.account
    why, usual = next((why, usual) for of, why, usual in _EXPLAINED if issubclass(kind, of))
    look = f"`klarna-ack order get {key.order_id} --account {account}`"
    lines = [
        f"{what} of order {key.order_id}, account {account}, failed: {error}",
        f"  Why: {why}",
        f"  What to do: {remedy or usual.format(account=account, look=look)}",
    ]
    if error.correlation_id:
        lines.append(f"  Correlation id: {error.correlation_id} (Klarna's support asks for it)")
    return "\n".join(lines)


def is_judgement(error: KlarnaError) -> bool:
    """Whether Klarna has looked at the order and said no."""
    return isinstance(error, PermanentError)
