"""One step in the life of one order, at an operator's word. Refused: what does not apply to it."""

from collections.abc import Callable
from dataclasses import dataclass

from pushes.model import Push, PushKey
from pushes.store import records
from pushes.store.ledger import Ledger, Step


class WrongStateError(Exception):
    """The push is unknown, or in a state in which this cannot be done to it.

    The message says which, and what to do. Nothing was changed.
    """


@dataclass(frozen=True, slots=True)
class OperatorStep:
    """A step, the verb for it, and what is said of a push to which it does not apply."""

    verb: str
    step: Step
    refuse: Callable[[Push], str]


def take(ledger: Ledger, key: PushKey, wanted: OperatorStep, *, dry_run: bool = False) -> Push:
    """Take a step and return the push after it. Raises WrongStateError.

    A dry run refuses the same, and otherwise returns the push as it is; it only reads.
    """
    if dry_run:
        push = records.get(ledger.redis, key)
        if push is not None and wanted.step(push) is not None:
            return push
    elif (change := ledger.advance(key, wanted.step)) is not None:
        return change.after
    else:
        push = records.get(ledger.redis, key)
    if push is None:
        raise WrongStateError(
            f"{key.order_id}: no push is known for this order in account {key.account!r}, so there"
            f" is nothing to {wanted.verb}. Queue it with"
            f" `klarna-ack push {key.order_id} --account {key.account}`."
        )
    raise WrongStateError(wanted.refuse(push))
