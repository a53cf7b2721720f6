"""What `dead replay` and `dead discard` share: the operator's word, and what came of it."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import click

from cli import output
from cli.batch import each as batch
from cli.batch.pace import Pace
from pushes.model import Push, PushKey
from pushes.store.ledger import Ledger


class OperatorAction(Protocol):
    """`pushes.replay.replay` or `discard`. Raises NotDeadError; then nothing was changed."""

    def __call__(self, ledger: Ledger, key: PushKey, *, by: str, why: str, now: datetime) -> Push:
        """Apply it to one push."""


def at_word_of(
    action: OperatorAction, ledger: Ledger, *, by: str, why: str
) -> Callable[[PushKey], Push]:
    """Make what is done to each order."""
    return lambda key: action(ledger, key, by=by, why=why, now=datetime.now(UTC))


def apply(  # noqa: PLR0913 - as `batch.each`
    ledger: Ledger,
    wanted: list[PushKey],
    act: Callable[[PushKey], Push],
    *,
    participle: str,
    pace: Pace,
    as_json: bool,
) -> None:
    """Do `act` to every order and print what came of it; raises as `batch.each` does."""
    show = partial(tell, as_json=as_json)
    batch.each(ledger, wanted, act, participle=participle, pace=pace, tell=show)


def tell(done: batch.Done, *, as_json: bool) -> None:
    """Print what was done, and each refusal with its reason."""
    if as_json:
        output.emit_json({"items": done.items, "refused": done.refused})
        return
    rows = [(item["order_id"], item["account"], item["state"]) for item in done.items]
    if rows:
        output.emit(output.Table(("order_id", "account", "state"), rows))
    elif not done.refused:
        output.emit("No dead letters match.")
    for refusal in done.refused:
        click.echo(refusal["detail"], err=True)
