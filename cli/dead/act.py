"""Doing to dead letters what an operator decides, or saying what would be done."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import click

from cli.arguments import options
from cli.batch import run
from cli.batch.report import BatchReport
from cli.batch.run import Pace
from cli.context import opened
from cli.dead.selection import Selection
from pushes.model import Push, PushKey
from pushes.operate.batch import BatchStep, Operator
from pushes.operate.step import WrongStateError
from pushes.store.ledger import Ledger


class DeadLetterAct(Protocol):
    """`pushes.operate.replay.replay` or `discard`. Raises WrongStateError."""

    def __call__(  # noqa: PLR0913 - who does what to which order, why and when
        self, ledger: Ledger, key: PushKey, *, by: str, why: str, now: datetime, dry_run: bool
    ) -> Push:
        """Do it to one push, or only look whether it can be done."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided, by whom, why, how fast, and whether it is only tried."""

    operator: Operator
    participle: str
    rate_per_s: float | None
    dry_run: bool
    as_json: bool


def decided(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a decision to a command."""
    for option in (
        options.as_json,
        options.by,
        options.why,
        click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing."),
        click.option(
            "--rate",
            type=click.FloatRange(min=0, min_open=True),
            metavar="N",
            help="At most N a second. Without it, as fast as Redis takes them.",
        ),
    ):
        command = option(command)
    return command


def on(selection: Selection, do: DeadLetterAct, decision: Decision) -> None:
    """Do it to what is selected, and tell what came of each. Raises as `run.each` does."""
    report = BatchReport(
        as_json=decision.as_json,
        participle=decision.participle,
        nothing="No dead letters match.",
    )
    with opened() as context:
        keys = selection.keys(context)
        why = decision.operator.why or ""

        def act(key: PushKey) -> Push:
            now, by = datetime.now(UTC), decision.operator.by
            return do(context.ledger, key, by=by, why=why, now=now, dry_run=decision.dry_run)

        if decision.dry_run:
            for key in keys:
                report.add(_rehearse(key, act))
            report.tell(dry_run=True)
            report.check()
            return
        pace = Pace(decision.rate_per_s)
        each = partial(run.each, participle=decision.participle, pace=pace)
        each(context.redis, keys, act, decision.operator, report)


def _rehearse(key: PushKey, act: Callable[[PushKey], Push]) -> BatchStep:
    try:
        return BatchStep(key, push=act(key))
    except WrongStateError as error:
        return BatchStep(key, refused=str(error))
