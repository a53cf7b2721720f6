"""`klarna-ack push`: queue orders as if Klarna had pushed them, for what was missed.

Safe to repeat: an order in hand is counted and gets no second job. A line of a file that names no
order is told, and stops no other.
"""

from datetime import UTC, datetime
from typing import TextIO

import click

from cli.arguments import options, order_files, order_ids
from cli.arguments.order_files import OrderFile
from cli.batch import run
from cli.batch.report import BatchReport
from cli.context import opened
from pushes.model import Push, PushKey
from pushes.operate import push as as_if_pushed
from pushes.operate.batch import Operator


@click.command()
@click.argument("ids", metavar="[ORDER_ID]...", nargs=-1)
@click.option(
    "--file",
    # Windows' editors write a byte-order mark; what is not UTF-8 becomes a line named as wrong.
    type=click.File(encoding="utf-8-sig", errors="replace"),
    help="Read the ids from this file; - is standard input. One a line, a CSV whose first line"
    " names the column (such as klarna_order_id), or JSON lines. Blank lines and those that begin"
    " with # are skipped.",
)
@options.account
@options.by
@options.as_json
def push(
    ids: tuple[str, ...], file: TextIO | None, account: str | None, by: str, *, as_json: bool
) -> None:
    """Queue orders as if Klarna had pushed them.

    Each is verified at Klarna and acknowledged by a worker. An order that is in hand already, or
    was acknowledged in the last 5 minutes, is only counted. A line of a file that names no order
    is told by its number, and the others are queued.
    """
    wanted = _read(ids, file)
    report = BatchReport(
        as_json=as_json,
        participle="queued",
        nothing="The file names no order: nothing was queued.",
        notes={
            "discarded": "Those discarded by an operator are counted, not queued. Replay them with"
            " `klarna-ack dead replay` to take that back."
        },
    )
    report.add_bad_lines(wanted.bad_lines)
    with opened() as context:
        chosen = context.choose_configured_account(account)

        def accept(key: PushKey) -> Push:
            return as_if_pushed.push(context.ledger, key, by=by, now=datetime.now(UTC))

        keys = [PushKey(chosen, order_id) for order_id in wanted.ids]
        operator = Operator(by, "push")
        run.each(context.redis, keys, accept, operator, report, participle="queued")


def _read(ids: tuple[str, ...], file: TextIO | None) -> OrderFile:
    if ids and file:
        raise click.UsageError("Give order ids or --file, not both.")
    if file:
        return order_files.read(file)
    if not ids:
        raise click.UsageError("Give order ids, or --file with a file of them.")
    return OrderFile(order_ids.from_arguments(ids), [])
