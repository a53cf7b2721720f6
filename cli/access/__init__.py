"""`klarna-ack user` and `token`: who may use the console and its JSON API."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from cli.context import Context
from pushes.access.principals import (
    AccessNameError,
    Principal,
    UserRole,
    check_accounts,
    check_name,
)

_F = TypeVar("_F", bound=Callable[..., Any])

name = click.argument("name")


def grant(command: _F) -> _F:
    """Add --role and --account."""
    for option in (
        click.option(
            "--account",
            "accounts",
            multiple=True,
            metavar="NAME",
            help="Only this account; may be given several times.  [default: all]",
        ),
        click.option(
            "--role",
            required=True,
            type=click.Choice([str(role) for role in UserRole]),
            help="A viewer changes nothing; an operator replays and pauses; an admin sees the"
            " settings, too.",
        ),
    ):
        command = option(command)
    return command


def read_name(text: str) -> str:
    """Return the name. Raises UsageError for what can be none."""
    try:
        return check_name(text)
    except AccessNameError as error:
        raise click.UsageError(str(error)) from error


def make_principal(context: Context, text: str, role: str, accounts: tuple[str, ...]) -> Principal:
    """Make what the options describe. Raises UsageError for an account that nobody knows."""
    name = read_name(text)
    try:
        limit = check_accounts(accounts)
    except AccessNameError as error:
        raise click.UsageError(str(error)) from error
    for account in limit or ():
        context.check_known(account) if account not in context.configured else account
    return Principal(name, UserRole.of(role), limit)
