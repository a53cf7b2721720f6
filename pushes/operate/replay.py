"""What an operator may do with a dead letter: give it fresh attempts, or put it away for good.

Both say who and why in the push's timeline. Refused: touching a push that is not dead, so that
two operators never send the same order off twice.
"""

from dataclasses import replace
from datetime import datetime
from functools import partial

from pushes import life, policy
from pushes.model import Change, Entry, Push, PushKey, State
from pushes.operate import step
from pushes.operate.step import OperatorStep
from pushes.store.ledger import Ledger


def replay(  # noqa: PLR0913 - who does what to which order, why and when
    ledger: Ledger, key: PushKey, *, by: str, why: str, now: datetime, dry_run: bool = False
) -> Push:
    """Queue a dead push with fresh attempts. Raises WrongStateError; then nothing was changed.

    A dry run refuses the same, and otherwise returns the dead push; it only reads.
    """
    replayed = partial(life.replayed, by=by, why=why, now=now)
    wanted = OperatorStep("replay", replayed, partial(_refuse, "replay"))
    return step.take(ledger, key, wanted, dry_run=dry_run)


def discard(  # noqa: PLR0913 - as `replay`
    ledger: Ledger, key: PushKey, *, by: str, why: str, now: datetime, dry_run: bool = False
) -> Push:
    """Put a dead push away: it leaves the dead letters, and later pushes do not revive it.

    Raises WrongStateError; then nothing was changed. A dry run is that of `replay`.
    """
    discarded = partial(life.discarded, by=by, why=why, now=now)
    wanted = OperatorStep("discard", discarded, partial(_refuse, "discard"))
    return step.take(ledger, key, wanted, dry_run=dry_run)


def restored(push: Push, by: str, why: str, now: datetime, died_at: datetime) -> Change | None:
    """Take a discard back: the push is dead as it was. None when that cannot be done any more."""
    if not push.discarded or now - push.changed_at > policy.UNDONE_WITHIN:
        return None
    after = replace(push, rev=push.rev + 1, changed_at=died_at, discarded=False, unreadable=None)
    return Change(push, after, (Entry(now, "restored", detail=why, by=by),))


def _refuse(verb: str, push: Push) -> str:
    order_id = push.key.order_id
    if push.state is State.DEAD:
        return f"{order_id} is discarded already. Replay it to take that back."
    return f"{order_id} is {push.state}, not dead: {push.state.sentence} Nothing to {verb}."
