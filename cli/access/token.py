"""`klarna-ack token add|list|remove`: what scripts and dashboards use the JSON API with."""

from datetime import UTC, datetime

import click

from cli import access, output
from cli.access import grant, make_principal, read_name
from cli.arguments import options
from cli.context import opened
from cli.exits import Refused
from pushes.access import tokens
from pushes.access.tokens import TokenExistsError

_COLUMNS = ("name", "role", "accounts", "last used at", "made at", "made by")


@click.group()
def token() -> None:
    """Make and revoke tokens of the JSON API under /ops/api/v1."""


@token.command()
@access.name
@grant
@options.by
@options.as_json
def add(name: str, role: str, accounts: tuple[str, ...], by: str, *, as_json: bool) -> None:
    """Make a token called NAME. It is shown once and cannot be read again."""
    with opened() as context:
        principal = make_principal(context, name, role, accounts)
        try:
            made = tokens.add(context.redis, principal, by=by, now=datetime.now(UTC))
        except TokenExistsError as error:
            raise Refused(
                f"There is a token {error} already. Revoke it first with"
                f" `klarna-ack token remove {error}`."
            ) from error
        context.ledger.replicas.confirm()
    if as_json:
        output.emit_json({"token": made, "name": principal.name, "role": str(principal.role)})
    else:
        click.echo(made)
        click.echo("Keep it: it is not shown again. Send it as Authorization: Bearer …", err=True)


@token.command("list")
@options.as_json
def list_(*, as_json: bool) -> None:
    """List the tokens, with their last use; never the tokens themselves."""
    with opened() as context:
        views = [each.view() for each in tokens.everyone(context.redis)]
    if as_json:
        output.emit_json({"items": views})
    elif views:
        rows = [
            (
                view["name"],
                view["role"],
                ", ".join(view["accounts"]) if view["accounts"] else "all",
                view["last_used_at"] or "never",
                view["made_at"],
                view["made_by"],
            )
            for view in views
        ]
        output.emit(output.Table(_COLUMNS, rows))
    else:
        output.emit("There is no token yet: klarna-ack token add NAME --role viewer")


@token.command()
@access.name
@options.by
@options.as_json
def remove(name: str, by: str, *, as_json: bool) -> None:
    """Revoke the token NAME: it is refused from now on."""
    with opened() as context:
        name = read_name(name)
        if not tokens.remove(context.redis, name, by=by):
            raise Refused(f"There is no token {name}. Nothing was changed.")
        context.ledger.replicas.confirm()
    if as_json:
        output.emit_json({"name": name})
    else:
        output.emit(f"The token {name} is revoked.")
