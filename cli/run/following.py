"""Following a bulk run in the terminal, which goes on with it as a worker does.

So a run is done even while no worker is alive. Ctrl-C ends the following, and not the run.
"""

import os
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from time import sleep
from typing import TYPE_CHECKING

import click
from redis.exceptions import RedisError

from cli import output
from cli.context import Context
from cli.exits import Refused, remedy, what_happened
from pushes.operate.runs.executor import STEP_EVERY_S, RunExecutor
from pushes.read import overview, runs
from pushes.read.runs import BulkRun, RunAction, RunState
from pushes.read.views import instant

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

PARTICIPLES = {
    RunAction.REPLAY: "replayed",
    RunAction.DISCARD: "discarded",
    RunAction.RESTORE: "restored",
}

_COLUMNS = ("run", "action", "state", "started", "by", "orders", "done", "why")


def follow(context: Context, run: BulkRun, *, to_the_results: bool = False) -> BulkRun:
    """Follow a run until it has gone through its orders, or until each has a result.

    Raises Refused after ctrl-c, and when Redis goes away: the run goes on all the same.
    """
    executor = RunExecutor(context.ledger, f"terminal {socket.gethostname()} {os.getpid()}")
    try:
        with _bar(run) as bar:
            while not _is_seen(run, to_the_results=to_the_results):
                executor.step(datetime.now(UTC))
                run = runs.get(context.redis, run.id) or run
                bar.update(run.acted - bar.pos)
                if not _is_seen(run, to_the_results=to_the_results):
                    sleep(STEP_EVERY_S)
    except KeyboardInterrupt:
        raise Refused(f"{_goes_on(context, run)} {_how_to(run)}") from None
    except RedisError as error:
        raise Refused(
            f"{what_happened(error)}. Accepted pushes are safe in Redis, and run {run.id} goes on"
            f" when Redis is back. {remedy(error)}. {_how_to(run)}"
        ) from error
    finally:
        with suppress(RedisError):
            executor.release()
    return run


def tell(run: BulkRun, *, as_json: bool) -> None:
    """Print how far a run is. Raises Refused for one that was cancelled."""
    if as_json:
        output.emit_json(runs.view(run))
    else:
        output.emit(*blocks(run))
    if run.state is RunState.CANCELLED:
        raise Refused(f"Run {run.id} was cancelled: {run.acted:,} of {run.total:,} were reached.")


def blocks(run: BulkRun) -> list[output.Block]:
    """Lay a run out: what was done, and what came of it."""
    results = runs.view(run)["results"]
    said = [f"{run.acted:,} of {run.total:,} {PARTICIPLES[run.action]}"]
    said += [f"{run.skipped:,} skipped, for they were not dead any more"] if run.skipped else []
    facts: list[tuple[str, output.Cell]] = [
        ("action", str(run.action)),
        ("state", f"{run.state}: {run.state.sentence}"),
        ("orders", "; ".join(said)),
        ("by", run.by),
        ("why", run.why),
    ]
    if run.action is RunAction.REPLAY:
        words = ("waiting", "acknowledged", "not_needed", "dead_again")
        facts += [(word.replace("_", " "), results[word]) for word in words]  # type: ignore[literal-required]
    return [output.Facts(f"Run {run.id}", facts)]


def table(found: list[BulkRun]) -> output.Table:
    """Lay runs out, a row each."""
    rows = [
        (
            *(run.id, str(run.action), str(run.state), instant(run.made_at)),
            *(run.by, run.total, run.acted, run.why),
        )
        for run in found
    ]
    return output.Table(_COLUMNS, rows, prose="why")


def _is_seen(run: BulkRun, *, to_the_results: bool) -> bool:
    return run.state.is_over or (run.state is RunState.FINISHING and not to_the_results)


def _goes_on(context: Context, run: BulkRun) -> str:
    reached = f"{run.acted:,} of {run.total:,} were {PARTICIPLES[run.action]} so far"
    with suppress(RedisError):
        if not overview.read(context.ledger, datetime.now(UTC), in_detail=False).workers.ours:
            return f"Run {run.id} goes on as soon as a worker is alive; {reached}."
    return f"Run {run.id} goes on without this terminal; {reached}."


def _how_to(run: BulkRun) -> str:
    return (
        f"To follow it: `klarna-ack run show {run.id} --follow`."
        f' To end it: `klarna-ack run cancel {run.id} --why "…"`.'
    )


def _bar(run: BulkRun) -> "ProgressBar[int]":
    bar: ProgressBar[int] = click.progressbar(
        length=run.total,
        label=PARTICIPLES[run.action].capitalize(),
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        show_pos=True,
    )
    return bar
