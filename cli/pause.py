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
from pushes.operate import hold
from pushes.read import overview, views

_account = click.argument("account", required=False, shell_complete=options.complete_account)


@click.command()
@_account
@options.why
@options.by
@options.as_json
def pause(account: str | None, why: str, by: str, *, as_json: bool) -> None:
    """Hold ACCOUNT: none of its orders is attempted.

    That is so until you resume it. Attempts under way are finished. Pushes are accepted, wait, and
    spend no attempt. Klarna goes on pushing for 48 hours after an order's first push. ACCOUNT is
    not needed when only one is configured.
    """
    with opened() as context:
        name = context.choose_account(account)
        hold.pause(context.redis, name, by=by, why=why)
        context.ledger.replicas.confirm()
        _show(context, name, "Orders of this account wait from now on.", as_json=as_json)


@click.command()
@_account
@options.why_if_any
@options.by
@options.as_json
def resume(account: str | None, why: str | None, by: str, *, as_json: bool) -> None:
    """Serve ACCOUNT again.

    It does not matter what held or paused it. What waited is attempted the earliest deadline first,
    after an outage in steps. If the trouble is still there, the account is soon held again.
    """
    with opened() as context:
        name = context.choose_account(account)
        ended = hold.resume(context.redis, name, by=by, why=why)
        context.ledger.replicas.confirm()
        if not (ended.hold or ended.pause):
            raise Refused(f"The account {name!r} is neither held nor paused. Nothing to resume.")
        was = " ".join(_because(ended))
        _show(context, name, f"It is served again. {was}", as_json=as_json)


def _because(ended: Resumed) -> Iterator[str]:
    if was := ended.hold:
        by = f", by {was.by}" if was.by else ""
        yield f"It was held: {was.reason} since {views.instant(was.since)}{by}: {was.cause}"
    if paused := ended.pause:
        yield f"It was paused until {views.instant(paused.until)}: {paused.cause}"


def _show(context: Context, name: str, sentence: str, *, as_json: bool) -> None:
    if as_json:
        standing = Holds(context.redis).standing(name)
        output.emit_json({"account": name, **overview.account(standing)})
    else:
        output.emit(f"{name}: {sentence}")
