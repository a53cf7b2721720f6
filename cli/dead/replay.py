"""`klarna-ack dead replay`: give dead letters fresh attempts, or say which would get them.

Refused, order by order: what is not dead.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial

import click

from cli.arguments import options, order_ids
from cli.batch import each as batch
from cli.batch.pace import Pace
from cli.context import Context, opened
from cli.dead import verdicts
from cli.dead.pages import all_dead
from pushes.model import Push, PushKey
from pushes.operate import replay
from pushes.read.dead_letters import Filter


@click.command("replay")
@click.argument("ids", metavar="[ORDER_ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Replay all that the filters match.")
@options.dead_letter_filters
@options.account
@click.option(
    "--limit", type=click.IntRange(min=1), help="With --all: so many at most, longest dead first."
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="At most N a second. Without it, as fast as Redis takes them.",
)
@click.option("--dry-run", is_flag=True, help="List what would be replayed; change nothing.")
@options.why
@options.by
@options.as_json
def replay_dead(  # noqa: PLR0913 - one parameter an option
    *,
    ids: tuple[str, ...],
    everything: bool,
    reason: str | None,
    since: datetime | None,
    until: datetime | None,
    account: str | None,
    limit: int | None,
    rate: float | None,
    dry_run: bool,
    why: str,
    by: str,
    as_json: bool,
) -> None:
    """Queue dead letters again, with fresh attempts.

    Name the orders, or give --all with filters: then every order that is dead now is replayed
    once, even if it dies again meanwhile. A push that is not dead is refused and left as it is.
    """
    wanted = options.make_filter(reason, account, since, until)
    named = order_ids.from_arguments(ids)
    filtered = limit is not None or any((reason, since, until))
    _check_usage(named=bool(named), everything=everything, filtered=filtered)
    with opened() as context:
        chosen = _choose(context, named, wanted, limit)
        action = partial(replay.replay, dry_run=dry_run)
        act = verdicts.at_word_of(action, context.ledger, by=by, why=why)
        if dry_run:
            _preview(chosen, act, as_json=as_json)
            return
        pace = Pace(rate)
        verdicts.apply(
            context.ledger, chosen, act, participle="replayed", pace=pace, as_json=as_json
        )


def _check_usage(*, named: bool, everything: bool, filtered: bool) -> None:
    if named and everything:
        raise click.UsageError("Give order ids or --all, not both.")
    if not named and not everything:
        raise click.UsageError("Give order ids, or --all.")
    if named and filtered:
        raise click.UsageError("--reason, --since, --until and --limit go with --all.")


def _choose(context: Context, named: list[str], wanted: Filter, limit: int | None) -> list[PushKey]:
    if named:
        account = context.choose_account(wanted.account)
        return [PushKey(account, order_id) for order_id in named]
    if wanted.account is not None:
        context.choose_account(wanted.account)
    return all_dead(context.ledger, wanted, limit)


def _preview(wanted: list[PushKey], act: Callable[[PushKey], Push], *, as_json: bool) -> None:
    done = batch.Done()
    for key in wanted:
        done.add(key, act)
    if not as_json:
        click.echo(f"{len(done.items)} would be replayed; nothing was changed.", err=True)
    done.finish(lambda done: verdicts.tell(done, as_json=as_json))
