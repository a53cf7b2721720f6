"""`klarna-ack run pause`, `resume`, `cancel` and `undo`.

Refused: what does not apply to the run.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import click
from redis import Redis

from cli import output
from cli.arguments import options
from cli.context import opened
from cli.exits import Refused
from cli.run import following
from pushes.operate.runs import steer
from pushes.operate.runs.steer import RunRefusedError
from pushes.read import runs
from pushes.read.runs import BulkRun


class SteeringAct(Protocol):
    """`pushes.operate.runs.steer.pause`, `resume` or `cancel`. Raises RunRefusedError."""

    def __call__(
        self, redis: Redis, run_id: str, *, by: str, why: str | None, now: datetime
    ) -> BulkRun:
        """Do it, and return the run as it is then."""


def _steering(command: Callable[..., None]) -> Callable[..., None]:
    for option in (options.as_json, options.by, click.argument("run_id", metavar="RUN")):
        command = option(command)
    return command


@click.command()
@_steering
@options.why_if_any
def pause(run_id: str, by: str, why: str | None, *, as_json: bool) -> None:
    """Let a bulk run wait until it is resumed."""
    _steer(steer.pause, run_id, by, why, as_json=as_json)


@click.command()
@_steering
@options.why_if_any
def resume(run_id: str, by: str, why: str | None, *, as_json: bool) -> None:
    """Let a paused bulk run go on."""
    _steer(steer.resume, run_id, by, why, as_json=as_json)


@click.command()
@_steering
@options.why
def cancel(run_id: str, by: str, why: str, *, as_json: bool) -> None:
    """End a bulk run.

    The orders that it has not reached stay as they are. What it has replayed goes on.
    """
    _steer(steer.cancel, run_id, by, why, as_json=as_json)


@click.command()
@_steering
@options.why
def undo(run_id: str, by: str, why: str, *, as_json: bool) -> None:
    """Take back what a bulk run discarded, within a day.

    Its orders are dead letters again, as they were. That is a bulk run, too, and is followed.
    """
    with opened() as context:
        try:
            run = steer.undo(context.redis, run_id, by=by, why=why, now=datetime.now(UTC))
        except RunRefusedError as error:
            raise Refused(str(error)) from error
        context.ledger.replicas.confirm()
        done = following.follow(context, run)
    following.tell(done, as_json=as_json)


def _steer(turn: SteeringAct, run_id: str, by: str, why: str | None, *, as_json: bool) -> None:
    with opened() as context:
        try:
            run = turn(context.redis, run_id, by=by, why=why, now=datetime.now(UTC))
        except RunRefusedError as error:
            raise Refused(str(error)) from error
        context.ledger.replicas.confirm()
    if as_json:
        output.emit_json(runs.view(run))
    else:
        output.emit(*following.blocks(run))
