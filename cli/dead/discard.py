"""`klarna-ack dead discard`: put dead letters away for good. Refused: what is not dead."""

import click

from cli.arguments import options, order_ids
from cli.batch.pace import Pace
from cli.context import opened
from cli.dead import verdicts
from pushes.model import PushKey
from pushes.operate import replay


@click.command()
@click.argument("ids", metavar="ORDER_ID...", nargs=-1, required=True)
@options.account
@options.why
@options.by
@options.as_json
def discard(ids: tuple[str, ...], account: str | None, why: str, by: str, *, as_json: bool) -> None:
    """Put dead letters away for good.

    They leave the list, and later pushes of these orders are counted but do not revive them.
    Replay one by its id to take that back. A push that is not dead is refused and left as it is.
    """
    named = order_ids.from_arguments(ids)
    with opened() as context:
        chosen = context.choose_account(account)
        verdicts.apply(
            context.ledger,
            [PushKey(chosen, order_id) for order_id in named],
            verdicts.at_word_of(replay.discard, context.ledger, by=by, why=why),
            participle="discarded",
            pace=Pace(None),
            as_json=as_json,
        )
