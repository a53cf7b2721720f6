"""`klarna-ack user add|list|remove|link`: who may sign in to the console."""

import sys
from datetime import UTC, datetime

import click

from cli import access, output
from cli.access import grant, make_principal, read_name
from cli.arguments import options
from cli.context import opened
from cli.exits import Refused
from pushes.access import sessions, users
from pushes.access.users import PasswordError, UserExistsError

_COLUMNS = ("name", "role", "accounts", "signs in by", "made at", "made by")


@click.group()
def user() -> None:
    """Say who may sign in to the console, and as what.

    Nobody may at first. The first admin is made here; there is no default password.
    """


@user.command()
@access.name
@grant
@click.option("--no-password", is_flag=True, help="Signs in by a link, or through a proxy.")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin, for scripts.")
@options.by
@options.as_json
def add(  # noqa: PLR0913 - one for each option
    name: str,
    role: str,
    accounts: tuple[str, ...],
    by: str,
    *,
    no_password: bool,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Let NAME sign in to the console. Asks for the password, which is never shown."""
    if no_password and password_stdin:
        raise click.UsageError("Give --no-password or --password-stdin, not both.")
    with opened() as context:
        principal = make_principal(context, name, role, accounts)
        password = None if no_password else _read_password(from_stdin=password_stdin)
        try:
            made = users.add(
                context.redis, principal, password=password, by=by, now=datetime.now(UTC)
            )
        except PasswordError as error:
            raise click.UsageError(f"Nobody was added: {error}.") from error
        except UserExistsError as error:
            raise Refused(
                f"There is a user {error} already. Take it away first with"
                f" `klarna-ack user remove {error}`; that ends its sessions."
            ) from error
        context.ledger.replicas.confirm()
    if as_json:
        output.emit_json(made.grant.view())
    else:
        output.emit(f"{principal} may sign in. {principal.role.sentence}")


@user.command("list")
@options.as_json
def list_(*, as_json: bool) -> None:
    """List who may sign in."""
    with opened() as context:
        found = users.everybody(context.redis)
    if as_json:
        output.emit_json({"items": [each.grant.view() for each in found]})
    elif found:
        rows = [
            (
                view["name"],
                view["role"],
                ", ".join(view["accounts"]) if view["accounts"] else "all",
                "password" if each.password_hash else "link or proxy",
                view["made_at"],
                view["made_by"],
            )
            for each in found
            for view in [each.grant.view()]
        ]
        output.emit(output.Table(_COLUMNS, rows))
    else:
        output.emit("Nobody may sign in yet: klarna-ack user add NAME --role admin")


@user.command()
@access.name
@options.by
@options.as_json
def remove(name: str, by: str, *, as_json: bool) -> None:
    """Take the user NAME away. Its sessions end at once."""
    with opened() as context:
        name = read_name(name)
        if not users.remove(context.redis, name, by=by):
            raise Refused(f"There is no user {name}. Nothing was changed.")
        context.ledger.replicas.confirm()
    if as_json:
        output.emit_json({"name": name})
    else:
        output.emit(f"{name} may not sign in any more, and its sessions have ended.")


@user.command()
@access.name
@click.option(
    "--url",
    envvar="OPS_URL",
    default="http://127.0.0.1:8000",
    show_default="OPS_URL, or http://127.0.0.1:8000",
    metavar="URL",
    help="Where the web process is reached.",
)
@options.as_json
def link(name: str, url: str, *, as_json: bool) -> None:
    """Print a link that signs NAME in once.

    It lasts 15 minutes and needs no password.
    """
    with opened() as context:
        name = read_name(name)
        found = users.find(context.redis, name)
        if found is None:
            raise Refused(f"There is no user {name}. Add it with `klarna-ack user add {name}`.")
        word = sessions.make_link(context.redis, found)
    address = f"{url.rstrip('/')}/ops/link?code={word}"
    if as_json:
        output.emit_json({"name": name, "link": address})
    else:
        click.echo(address)


def _read_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return typed
