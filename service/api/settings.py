"""What the web process was started with, secrets masked, and who has access. For admins."""

from dataclasses import asdict

from flask import Blueprint, Response, jsonify

from pushes.access import tokens, users
from pushes.access.principals import UserRole
from service import access, deps, shown_settings
from service.api.document import answers, tree
from service.api.schemas import SettingList, TokenList, UserList

blueprint = Blueprint("settings", __name__)


@blueprint.get("/settings")
@access.needs(UserRole.ADMIN)
@tree.validate(resp=answers(SettingList))
def settings() -> Response:
    """List the settings, which accounts have a push token, and what is wrong with Redis."""
    found = deps.current()
    return jsonify(
        items=[asdict(one) for one in shown_settings.settings(found.settings)],
        push_tokens={name: token is not None for name, token in found.settings.tokens.items()},
        faults=list(shown_settings.faults(found.ledger.redis)),
    )


@blueprint.get("/users")
@access.needs(UserRole.ADMIN)
@tree.validate(resp=answers(UserList))
def everybody() -> Response:
    """List who may sign in to the console."""
    found = users.everybody(deps.current().ledger.redis)
    return jsonify(items=[user.view() for user in found])


@blueprint.get("/tokens")
@access.needs(UserRole.ADMIN)
@tree.validate(resp=answers(TokenList))
def every_token() -> Response:
    """List the tokens with their last use; never the tokens themselves."""
    found = tokens.everyone(deps.current().ledger.redis)
    return jsonify(items=[token.view() for token in found])
