"""`klarna-ack reconcile`: a shop's list of orders held against the ledger, and against Klarna.

Safe to repeat: it changes nothing, unless it is told to queue what is missing; then an order that
came meanwhile is counted and gets no second job.
"""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TextIO

import click
from redis.exceptions import RedisError

from cli.arguments import options, order_files
from cli.context import Context, opened
from cli.exits import Refused, remedy, what_happened
from cli.reconcile import findings, report
from cli.reconcile.findings import Finding, Reconciled
from pushes.model import Push, PushKey
from pushes.operate import batch
from pushes.operate import push as as_if_pushed
from pushes.operate.batch import Operator


@click.command()
@click.option(
    "--file",
    # As for `push`: a byte-order mark is skipped, and what is not UTF-8 becomes a line at fault.
    type=click.File(encoding="utf-8-sig", errors="replace"),
    required=True,
    help="The shop's orders: ids, a CSV or JSON lines, as for `klarna-ack push --file`; - is"
    " standard input.",
)
@options.account
@click.option(
    "--without-klarna", is_flag=True, help="Ask Klarna nothing: go by what is known here."
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Ask Klarna at most N times a second.  [default: a tenth of the account's quota]",
)
@click.option("--push-missing", is_flag=True, help="Queue the orders that were never heard of.")
@options.why_if_any
@options.by
@options.as_json
def reconcile(  # noqa: PLR0913 - one parameter an option
    *,
    file: TextIO,
    account: str | None,
    without_klarna: bool,
    rate: float | None,
    push_missing: bool,
    why: str | None,
    by: str,
    as_json: bool,
) -> None:
    """Find what is wrong with a shop's orders.

    Each order in the file is looked up here: was it ever heard of, is it acknowledged, dead, or
    closed at Klarna? Klarna is asked only about those that were never heard of, slowly, so that the
    workers keep their quota; that takes the credentials of the worker's settings. Records of
    settled orders are kept for RETENTION_DAYS: an older order counts as never heard of, unless
    Klarna shows that it is captured or closed.
    """
    wanted = order_files.read(file)
    with opened() as context:
        chosen = context.choose_configured_account(account)
        found = findings.look_up(context.redis, chosen, wanted.ids)
        if not without_klarna:
            found = _ask_klarna(chosen, found, rate)
        if push_missing:
            found = _queue(context, found, Operator(by, "push", why))
    report.tell(found, wanted.bad_lines, as_json=as_json)


def _ask_klarna(
    account: str, found: list[Reconciled], rate_per_s: float | None
) -> list[Reconciled]:
    """Ask about what was never heard of; without any, nothing is loaded that could call."""
    unheard = [one for one in found if one.finding is Finding.NEVER_HEARD_OF]
    if not unheard:
        return found
    from cli.reconcile import asking  # noqa: PLC0415 - loads requests: not for --help

    told = {one.key: one for one in asking.ask(account, unheard, rate_per_s)}
    return [told.get(one.key, one) for one in found]


def _queue(context: Context, found: list[Reconciled], operator: Operator) -> list[Reconciled]:
    """Queue what was never heard of, as `klarna-ack push` does. Raises Refused half way."""
    missing = [one.key for one in found if one.finding is Finding.NEVER_HEARD_OF]

    def accept(key: PushKey) -> Push:
        now = datetime.now(UTC)
        return as_if_pushed.push(context.ledger, key, by=operator.by, now=now)

    pushed: dict[PushKey, Push | None] = {}
    try:
        with closing(batch.run(context.redis, missing, accept, operator)) as steps:
            for step in steps:
                pushed[step.key] = step.push
    except RedisError as error:
        raise Refused(
            f"{what_happened(error)}: {len(pushed):,} of {len(missing):,} orders were queued, and"
            f" accepted pushes are safe in Redis. {remedy(error)}. Then run this again: what was"
            " queued is not queued twice."
        ) from error
    return [
        replace(one, push=pushed[one.key], queued=True) if one.key in pushed else one
        for one in found
    ]
