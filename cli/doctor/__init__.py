"""`klarna-ack doctor`: is this set up right? What was looked at, what was seen, the remedy.

Beside it `repair`, which mends what stands in Redis.
"""

import os

import click

from cli import output
from cli.arguments import options
from cli.context import opened
from cli.doctor.check import Check, Severity


@click.command()
@options.account
@click.option(
    "--url",
    metavar="URL",
    help="The push URL as Klarna has it, without its query: try it, through the proxy.",
)
@options.as_json
@click.pass_context
def doctor(ctx: click.Context, account: str | None, url: str | None, *, as_json: bool) -> None:
    """Look whether all this is set up right.

    It looks at Redis, the workers, and each account: its token, its API URL, its credentials,
    which it tries with one GET of an order that does not exist, and whether it is held. It writes
    one key, which is gone in a minute. Ends with 1 when something failed, else with 0. Run it with
    the worker's settings, and the web process's push token.
    """
    from cli.doctor.examination import examine  # noqa: PLC0415 - loads requests: not for --help

    with opened() as context:
        only = context.choose_configured_account(account) if account else None
        checks = examine(context, os.environ, only, url)
    worst = max((check.severity for check in checks), key=lambda severity: severity.weight)
    if as_json:
        output.emit_json({"severity": str(worst), "checks": [_view(check) for check in checks]})
    else:
        output.emit(*_blocks(checks))
    ctx.exit(int(worst is Severity.FAILED))


def _view(check: Check) -> dict[str, str | None]:
    return {
        "name": check.name,
        "account": check.account,
        "severity": str(check.severity),
        "seen": check.seen,
        "remedy": check.remedy or None,
    }


def _blocks(checks: list[Check]) -> list[output.Block]:
    rows = [(check.severity, check.name, check.account, check.seen) for check in checks]
    table = output.Table(("severity", "check", "account", "seen"), rows, prose="seen", titles=3)
    remedies = [
        f"{check.name}{f' of {check.account}' if check.account else ''}: {check.remedy}"
        for check in checks
        if check.remedy
    ]
    return [table, *remedies]
