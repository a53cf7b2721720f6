"""`klarna-ack push`: queue orders as if Klarna had pushed them, for what was missed.

Safe to repeat: an order in hand is counted and gets no second job. Refused: a list with anything
in it that is no order id; then nothing at all is queued.
"""

from datetime import UTC, datetime
from typing import TextIO

import click

from cli import output
from cli.arguments import options, order_ids
from cli.batch import each as batch
from cli.batch.pace import Pace
from cli.context import opened
from pushes.life import Origin
from pushes.model import Lane, Push, PushKey, State

# The name of the event in the timeline: Klarna's own are `pushed`.
EVENT = "pushed_by_operator"


@click.command()
@click.argument("ids", metavar="[ORDER_ID]...", nargs=-1)
@click.option(
    "--file",
    # Windows' editors write a byte-order mark; what is not UTF-8 becomes a line named as wrong.
    type=click.File(encoding="utf-8-sig", errors="replace"),
    help="Read the ids from this file, one a line; - is standard input. Blank lines and what"
    " follows a # are skipped.",
)
@options.account
@options.by
@options.as_json
def push(
    ids: tuple[str, ...], file: TextIO | None, account: str | None, by: str, *, as_json: bool
) -> None:
    """Queue orders as if Klarna had pushed them.

    Each is verified at Klarna and acknowledged by a worker. An order that is in hand already, or
    was acknowledged in the last 5 minutes, is only counted. If anything given is no order id,
    nothing is queued.
    """
    wanted = _read(ids, file)
    with opened() as context:
        chosen = context.choose_configured_account(account)

        origin = Origin(EVENT, by, lane=Lane.BACKLOG)

        def accept(key: PushKey) -> Push:
            return context.ledger.accept(key, datetime.now(UTC), origin)

        batch.each(
            context.ledger,
            [PushKey(chosen, order_id) for order_id in wanted],
            accept,
            participle="queued",
            pace=Pace(None),
            tell=lambda done: _tell(done, as_json=as_json),
        )


def _read(ids: tuple[str, ...], file: TextIO | None) -> list[str]:
    if ids and file:
        raise click.UsageError("Give order ids or --file, not both.")
    if file:
        return order_ids.from_lines(file)
    if not ids:
        raise click.UsageError("Give order ids, or --file with a file of them.")
    return order_ids.from_arguments(ids)


def _tell(done: batch.Done, *, as_json: bool) -> None:
    if as_json:
        output.emit_json({"items": done.items})
        return
    if not done.items:
        output.emit("The file names no order: nothing was queued.")
        return
    rows = [(item["order_id"], item["account"], item["state"]) for item in done.items]
    output.emit(output.Table(("order_id", "account", "state"), rows))
    if any(item["state"] == State.DEAD for item in done.items):
        click.echo(
            "Those still dead were discarded by an operator: they are counted, not queued. Replay"
            " them with `klarna-ack dead replay` to take that back.",
            err=True,
        )
