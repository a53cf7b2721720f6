"""Settings: what this process was started with, secrets masked, and who has access. Read only."""

from flask import Blueprint, Response

from pushes.access import tokens, users
from pushes.access.principals import UserRole
from service import access, deps, shown_settings
from service.ops.page import render

blueprint = Blueprint("settings", __name__, url_prefix="/settings")


@blueprint.get("/")
@access.needs(UserRole.ADMIN)
def page() -> Response:
    """Show the settings of the web process, and who has access."""
    found = deps.current()
    return render(
        "settings/settings.html",
        shown=list(shown_settings.settings(found.settings)),
        push_tokens=sorted(found.settings.tokens.items()),
        faults=list(shown_settings.faults(found.ledger.redis)),
        users=users.everybody(found.ledger.redis),
        tokens=tokens.everyone(found.ledger.redis),
    )
