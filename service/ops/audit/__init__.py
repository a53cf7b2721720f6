"""Audit: what people did here and in the terminal, the newest first. It cannot be changed."""

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from pushes.read import audit
from pushes.read.audit import AuditPlaceError
from service import access, deps
from service.ops.page import PAGE_SIZE, chosen_account, known_accounts, render

blueprint = Blueprint("audit", __name__, url_prefix="/audit")


@blueprint.get("/")
def page() -> Response:
    """List what was done."""
    who = access.principal()
    account = chosen_account(who)
    try:
        found = audit.newest_first(
            deps.current().ledger.redis,
            limit=PAGE_SIZE,
            account=account,
            before=request.args.get("cursor") or None,
        )
    except AuditPlaceError as error:
        raise BadRequest("The list was asked for in a way that no page gives.") from error
    return render(
        "audit/audit.html",
        lines=found.lines,
        next_cursor=found.next_place,
        looked_back_to=found.looked_back_to if len(found.lines) < PAGE_SIZE else None,
        account=account,
        accounts=known_accounts(who),
    )
