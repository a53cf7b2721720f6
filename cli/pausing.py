"""`klarna-ack pause` and `resume`: hold an account at an operator's word, and serve it again.

Pushes are accepted all the while. Refused: resuming an account that is not held.
"""

from datetime import UTC, datetime

import click

from cli import options, output
from cli.context import Context, opened
from cli.exits import Refused
from pushes.accounts.holds import AccountHold, Holds
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
        holds, now = Holds(context.ledger.redis), datetime.now(UTC)
        holds.begin(name, HoldReason.OPERATOR, why, now, by)
        _show(context, name, "Orders of this account wait from now on.", as_json=as_json)


@click.command()
@_account
@options.as_json
def resume(account: str | None, *, as_json: bool) -> None:
    """Serve ACCOUNT again, whatever held it.

    What waited is attempted the earliest deadline first, after an outage in steps. If the trouble
    is still there, the account is soon held again.
    """
    with opened() as context:
        name = context.choose_account(account)
        ended = Holds(context.ledger.redis).end(name, datetime.now(UTC), by_operator=True)
        if ended is None:
            raise Refused(f"The account {name!r} is not held. Nothing to resume.")
        _show(context, name, f"It was held: {_because(ended)}", as_json=as_json)


def _because(hold: AccountHold) -> str:
    by = f", by {hold.by}" if hold.by else ""
    return f"{hold.reason} since {views.instant(hold.since)}{by}: {hold.cause}"


def _show(context: Context, name: str, sentence: str, *, as_json: bool) -> None:
    if as_json:
        standing = Holds(context.ledger.redis).standing(name)
        output.emit_json({"account": name, **overview.account(standing)})
    else:
        output.emit(f"{name}: {sentence}")
