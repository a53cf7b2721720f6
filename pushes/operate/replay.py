"""What an operator may do with a dead letter: give it a fresh life, or put it away for good.

Both say who and why in the push's timeline. Refused: touching a push that is not dead, so that
two operators never send the same order off twice.
"""

from datetime import datetime

from pushes import life
from pushes.model import Change, Push, PushKey, State
from pushes.store.ledger import Ledger


class NotDeadError(Exception):
    """The push is unknown or not dead; the message says which and what to do."""


def replay(ledger: Ledger, key: PushKey, *, by: str, why: str, now: datetime) -> Push:
    """Queue a dead push with fresh attempts. Raises NotDeadError; then nothing was changed."""
    change = ledger.advance(key, lambda push: life.replayed(push, by, why, now))
    return _done(change, ledger, key, "replay")


def discard(ledger: Ledger, key: PushKey, *, by: str, why: str, now: datetime) -> Push:
    """Put a dead push away: it leaves the dead letters, and later pushes do not revive it.

    Raises NotDeadError; then nothing was changed.
    """
    change = ledger.advance(key, lambda push: life.discarded(push, by, why, now))
    return _done(change, ledger, key, "discard")


def _done(change: Change | None, ledger: Ledger, key: PushKey, verb: str) -> Push:
    if change is not None:
        return change.after
    push = ledger.get(key)
    if push is None:
        raise NotDeadError(
            f"{key.order_id}: no push is known for this order in account {key.account!r}, so there "
            f"is nothing to {verb}. Queue it with "
            f"`klarna-ack push {key.order_id} --account {key.account}`."
        )
    if push.state is State.DEAD:
        raise NotDeadError(f"{key.order_id} is discarded already. Replay it to take that back.")
    raise NotDeadError(
        f"{key.order_id} is {push.state}, not dead: {push.state.sentence} Nothing to {verb}."
    )
