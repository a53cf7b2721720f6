"""Trying an order now that waits for its next attempt, at an operator's word.

The attempt takes the place of the planned one and uses up no delay. Refused: every other state,
each with what helps there.
"""

from datetime import datetime
from functools import partial

from pushes import life
from pushes.model import HoldReason, Push, PushKey, State
from pushes.operate import step
from pushes.operate.step import OperatorStep
from pushes.store.ledger import Ledger


def retry(  # noqa: PLR0913 - who does what to which order, why and when
    ledger: Ledger, key: PushKey, *, by: str, why: str, now: datetime, dry_run: bool = False
) -> Push:
    """Queue a retrying push at once. Raises WrongStateError; then nothing was changed.

    A dry run refuses the same, and otherwise returns the push as it is; it only reads.
    """
    retried = partial(life.retried, by=by, why=why, now=now)
    return step.take(ledger, key, OperatorStep("retry", retried, _refuse), dry_run=dry_run)


def _refuse(push: Push) -> str:
    return f"{push.key.order_id} is {push.state}, not retrying: {_remedy(push)}"


def _remedy(push: Push) -> str:
    account = push.key.account
    match push.state:
        case State.HELD if push.reason is HoldReason.OPERATOR:
            return f"its account was paused. `klarna-ack resume {account}` serves it again."
        case State.HELD:
            return (
                f"its account is held ({push.reason}) and tries again by itself."
                f" `klarna-ack resume {account}` does not wait for that."
            )
        case State.DEAD:
            return f"`klarna-ack dead replay {push.key.order_id} --account {account}` tries again."
        case State.QUEUED | State.RUNNING | State.RETRYING:
            return "it is being tried without that."
        case State.ACKNOWLEDGED | State.NOT_NEEDED:
            return f"{push.state.sentence} Nothing to retry."
