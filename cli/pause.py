"""`klarna-ack pause` and `resume`: hold an account at an operator's word, and serve it again.

Pushes are accepted all the while. Refused: resuming an account that is neither held nor paused.
"""

from collections.abc import Iterator

import click

from cli import output
from cli.arguments import options
from cli.context import Context, opened
from cli.exits import Refused
from pushes.accounts.holds import Holds, Resumed
from pushes.model import HoldReason
from pushes.read import overview, views

_account = click.argument("account", required=False)


@click.command()
@_account
@options.why
@options.by
@options.as_json
def pause(account: str | None, why: str, by: str, *, as_json: bool) -> None:
    """Hold ACCOUNT: none of its orders is attempted until you resume it.

    Attempts under way are finished. Pushes are accepted, wait, and spend no attempt. Klarna goes
    on pushing for 48 hours after an order's first push. Not needed when only one is configured.
    """
    with opened() as context:
        name = context.choose_account(account)
        Holds(context.ledger.redis).begin(name, HoldReason.OPERATOR, why, by)
        _show(context, name, "Orders of this account wait from now on.", as_json=as_json)


@click.command()
@_account
@options.as_json
def resume(account: str | None, *, as_json: bool) -> None:
    """Serve ACCOUNT again, whatever held or paused it.

    What waited is attempted the earliest deadline first, after an outage in steps. If the trouble
    is still there, the account is soon held again.
    """
    with opened() as context:
        name = context.choose_account(account)
        ended = Holds(context.ledger.redis).resume(name)
        if not (ended.hold or ended.pause):
            raise Refused(f"The account {name!r} is neither held nor paused. Nothing to resume.")
        _show(context, name, " ".join(_because(ended)), as_json=as_json)


def _because(ended: Resumed) -> Iterator[str]:
    if hold := ended.hold:
        by = f", by {hold.by}" if hold.by else ""
        yield f"It was held: {hold.reason} since {views.instant(hold.since)}{by}: {hold.cause}"
    if pause := ended.pause:
        yield f"It was paused until {views.instant(pause.until)}: {pause.cause}"


def _show(context: Context, name: str, sentence: str, *, as_json: bool) -> None:
    if as_json:
        standing = Holds(context.ledger.redis).standing(name)
        output.emit_json({"account": name, **overview.account(standing)})
    else:
        output.emit(f"{name}: {sentence}")
