"""What an operator may do with a dead letter: give it fresh attempts, or put it away for good.

Both say who and why in the push's timeline. Refused: touching a push that is not dead, so that
two operators never send the same order off twice.
"""

from datetime import datetime
from functools import partial

from pushes import life
from pushes.model import Push, PushKey, State
from pushes.store import records
from pushes.store.ledger import Ledger, Step


class NotDeadError(Exception):
    """The push is unknown or not dead; the message says which and what to do."""


def replay(  # noqa: PLR0913 - who does what to which order, why and when
    ledger: Ledger, key: PushKey, *, by: str, why: str, now: datetime, dry_run: bool = False
) -> Push:
    """Queue a dead push with fresh attempts. Raises NotDeadError; then nothing was changed.

    A dry run refuses the same, and otherwise returns the dead push; it only reads.
    """
    step = partial(life.replayed, by=by, why=why, now=now)
    if dry_run:
        push = records.get(ledger.redis, key)
        if push is None or step(push) is None:
            raise _refusal(push, key, "replay")
        return push
    return _advance(ledger, key, step, "replay")


def discard(ledger: Ledger, key: PushKey, *, by: str, why: str, now: datetime) -> Push:
    """Put a dead push away: it leaves the dead letters, and later pushes do not revive it.

    Raises NotDeadError; then nothing was changed.
    """
    return _advance(ledger, key, partial(life.discarded, by=by, why=why, now=now), "discard")


def _advance(ledger: Ledger, key: PushKey, step: Step, verb: str) -> Push:
    change = ledger.advance(key, step)
    if change is None:
        raise _refusal(records.get(ledger.redis, key), key, verb)
    return change.after


def _refusal(push: Push | None, key: PushKey, verb: str) -> NotDeadError:
    if push is None:
        return NotDeadError(
            f"{key.order_id}: no push is known for this order in account {key.account!r}, so there "
            f"is nothing to {verb}. Queue it with "
            f"`klarna-ack push {key.order_id} --account {key.account}`."
        )
    if push.state is State.DEAD:
        return NotDeadError(f"{key.order_id} is discarded already. Replay it to take that back.")
    return NotDeadError(
        f"{key.order_id} is {push.state}, not dead: {push.state.sentence} Nothing to {verb}."
    )
