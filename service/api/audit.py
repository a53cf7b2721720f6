"""The audit: what operators did."""

from flask import Blueprint, Response, jsonify

from pushes.read import audit
from service import access, deps
from service.api import gate
from service.api.document import answers, tree
from service.api.gate import InvalidError
from service.api.schemas import AccountQuery, AuditPage

blueprint = Blueprint("audit", __name__)


@blueprint.get("/audit")
@tree.validate(resp=answers(AuditPage, 404, 422))
def trail(query: AccountQuery) -> Response:
    """List what operators did, the latest first; who is limited to accounts names one."""
    access.check_account(query.account)
    if query.account is None and gate.accounts() is not None:
        raise InvalidError(f"account: name one of {', '.join(sorted(gate.accounts() or ()))}")
    found = audit.newest_first(
        deps.current().ledger.redis,
        limit=query.limit,
        account=query.account,
        before=query.cursor,
    )
    items = [audit.view(line) for line in found.lines]
    return jsonify(items=items, next_cursor=found.next_place)
