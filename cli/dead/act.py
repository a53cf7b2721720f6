"""Doing to dead letters what an operator decides, or saying what would be done.

Those that are named are done one after the other; all that match are done by a bulk run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import click

from cli import output
from cli.arguments import options
from cli.batch import run as batch_run
from cli.batch.report import BatchReport
from cli.batch.run import Pace
from cli.context import Context, opened
from cli.dead.selection import Selection
from cli.run import following
from pushes.model import Push, PushKey
from pushes.operate.batch import BatchStep, Operator
from pushes.operate.runs import steer
from pushes.operate.runs.steer import RunRequest
from pushes.operate.step import WrongStateError
from pushes.read.runs import RunAction
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
        if not (selection.named or decision.dry_run):
            _run(context, selection, decision)
            return
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
        each = partial(batch_run.each, participle=decision.participle, pace=pace)
        each(context.redis, keys, act, decision.operator, report)


def _run(context: Context, selection: Selection, decision: Decision) -> None:
    """Start a bulk run over all that match, and follow it until it has gone through them."""
    wanted, now = selection.checked_filter(context), datetime.now(UTC)
    if not decision.as_json and not steer.preview(context.redis, wanted).count:
        output.emit("No dead letters match.")
        return
    request = RunRequest(
        RunAction(decision.operator.action),
        decision.operator.by,
        decision.operator.why or "",
        decision.rate_per_s,
        selection.limit,
    )
    run = steer.start(context.redis, request, wanted, now)
    context.ledger.replicas.confirm()
    following.tell(following.follow(context, run), as_json=decision.as_json)


def _rehearse(key: PushKey, act: Callable[[PushKey], Push]) -> BatchStep:
    try:
        return BatchStep(key, push=act(key))
    except WrongStateError as error:
        return BatchStep(key, refused=str(error))
