"""`klarna-ack retry`: try orders now that wait for their next attempt. Refused: all others."""

from datetime import UTC, datetime

import click

from cli.arguments import options, order_ids
from cli.batch import run
from cli.batch.report import BatchReport
from cli.context import opened
from pushes.model import Push, PushKey
from pushes.operate.batch import Operator
from pushes.operate.retry import retry as retry_one


@click.command()
@click.argument("ids", metavar="ORDER_ID...", nargs=-1, required=True)
@options.account
@options.why
@options.by
@options.as_json
def retry(ids: tuple[str, ...], account: str | None, why: str, by: str, *, as_json: bool) -> None:
    """Try orders now that wait for their next attempt.

    The attempt takes the place of the planned one and uses up no delay. Only what is `retrying`
    can be tried: an order in any other state is refused, with what helps there.
    """
    named = order_ids.from_arguments(ids)
    report = BatchReport(as_json=as_json, participle="retried", nothing="Nothing was retried.")
    with opened() as context:
        chosen = context.choose_account(account)

        def act(key: PushKey) -> Push:
            return retry_one(context.ledger, key, by=by, why=why, now=datetime.now(UTC))

        wanted = [PushKey(chosen, order_id) for order_id in named]
        operator = Operator(by, "retry", why)
        run.each(context.redis, wanted, act, operator, report, participle="queued")
