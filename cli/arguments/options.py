"""Options that several commands take, so that each means the same everywhere."""

import getpass
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from pushes.accounts.settings import read_names
from pushes.model import Reason
from pushes.read.dead_letters import Filter
from pushes.read.search.moments import parse
from pushes.settings import ConfigurationError

# A page is read in one answer; more would hold up Redis for everybody.
_MOST = 10_000

_F = TypeVar("_F", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def complete_account(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Name the configured accounts that begin like this, for the shell."""
    try:
        names = read_names(os.environ)
    except ConfigurationError:
        return []
    return [name for name in names if name.startswith(incomplete)]


account = click.option(
    "--account",
    metavar="NAME",
    shell_complete=complete_account,
    help="The merchant account. Not needed when only one is configured.",
)


def _moment(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    try:
        return None if value is None else parse(value, datetime.now(UTC))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _login_name(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    if value is not None:
        return _not_blank(_ctx, _parameter, value)
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise click.BadParameter(
            "this process has no login name, so say who you are with --by."
        ) from error


def _not_blank(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    if value is None or not value.strip():
        raise click.BadParameter("must not be blank.")
    return value.strip()


def _not_blank_if_given(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    return None if value is None else _not_blank(ctx, parameter, value)


_REASON = "The reason. It is kept in the audit and in the timeline of each order."

why = click.option("--why", required=True, callback=_not_blank, metavar="TEXT", help=_REASON)

why_if_any = click.option("--why", callback=_not_blank_if_given, metavar="TEXT", help=_REASON)

by = click.option(
    "--by",
    callback=_login_name,
    metavar="NAME",
    help="Who does this. It is kept with the reason.  [default: your login name]",
)


def page(command: _F) -> _F:
    """Add --limit and --cursor."""
    for option in (
        click.option(
            "--cursor", metavar="CURSOR", help="Go on where a page ended: its next_cursor."
        ),
        click.option(
            "--limit",
            type=click.IntRange(1, _MOST),
            default=50,
            show_default=True,
            help="How many at most.",
        ),
    ):
        command = option(command)
    return command


def dead_letter_filters(command: _F) -> _F:
    """Add --reason, --since and --until."""
    for option in (
        click.option(
            "--until",
            callback=_moment,
            metavar="TIME",
            help="Only those that died before then, given as for --since.",
        ),
        click.option(
            "--since",
            callback=_moment,
            metavar="TIME",
            help="Only those that died then or later: ISO 8601 (UTC unless it says otherwise), or"
            " an age such as 90m, 24h or 7d.",
        ),
        click.option(
            "--reason",
            type=click.Choice([str(reason) for reason in Reason]),
            help="Only those that died of this.",
        ),
    ):
        command = option(command)
    return command


def make_filter(
    reason: str | None, account: str | None, since: datetime | None, until: datetime | None
) -> Filter:
    """Make the filter that the options describe. Raises UsageError when nothing can match."""
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be earlier than --until.")
    return Filter(Reason.of(reason) if reason else None, account, since, until)
