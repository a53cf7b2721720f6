"""Accounts: served or held, and why; pausing and resuming one."""

from collections.abc import Mapping
from datetime import UTC, datetime

from flask import Blueprint, Response, jsonify

from pushes.accounts import clock
from pushes.operate import hold
from pushes.read import overview as read
from pushes.read.lately import quota
from pushes.read.overview import AccountStatusView
from pushes.read.unreadable import Unreadable
from service import access, deps
from service.api import overview
from service.api.document import answers, tree
from service.api.schemas import Accounts, Because, PerhapsBecause

blueprint = Blueprint("accounts", __name__, url_prefix="/accounts")


@blueprint.get("")
@tree.validate(resp=answers(Accounts))
def every() -> Response:
    """Tell of each account whether it is held, why, what waits there, and the quota it used."""
    return _with_quota(overview.seen()["accounts"])


@blueprint.post("/<account>/pause")
@tree.validate(resp=answers(Accounts, 404, 422))
def pause(account: str, json: Because) -> Response:
    """Hold an account until it is resumed; pushes are accepted all the while."""
    access.check_known(account)
    hold.pause(deps.current().ledger.redis, account, by=access.principal().name, why=json.why)
    return _one(account)


@blueprint.post("/<account>/resume")
@tree.validate(resp=answers(Accounts, 404, 422))
def resume(account: str, json: PerhapsBecause) -> Response:
    """Serve an account again, whatever holds or pauses it."""
    access.check_known(account)
    hold.resume(deps.current().ledger.redis, account, by=access.principal().name, why=json.why)
    return _one(account)


def _one(account: str) -> Response:
    ledger = deps.current().ledger
    return _with_quota({account: read.read_account(ledger, datetime.now(UTC), account)})


def _with_quota(accounts: Mapping[str, AccountStatusView]) -> Response:
    redis = deps.current().ledger.redis
    used = quota.read(redis, accounts, clock.read(redis), Unreadable())
    return jsonify(quota.with_quota(accounts, used))
