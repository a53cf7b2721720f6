"""Whether the web process is alive, and whether it can keep its promise."""

from flask import Blueprint, Response, jsonify
from redis.exceptions import RedisError

from pushes.store.server import rights
from pushes.store.server.durability import fault_of, persistence_fault, rights_fault
from pushes.store.server.rights import Role
from service import deps
from service.errors import problem

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def alive() -> Response:
    """Say that the process answers. Looks at nothing else: a restart would not help Redis."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def ready() -> Response:
    """Say whether pushes are stored durably: Redis lets us, takes writes and persists them."""
    ledger = deps.current().ledger
    redis = ledger.redis
    try:
        fault = rights_fault(rights.missing_rights(redis, Role.WEB))
        if fault is None:
            ledger.replicas.confirm()
            fault = persistence_fault(redis.info("persistence"))
    except RedisError as error:
        fault = fault_of(error)
    if fault is None:
        return jsonify(status="ok")
    detail = f"{fault.seen}: {fault.remedy}. Pushes that cannot be stored are answered 503."
    return problem(503, "Pushes are not stored durably", f"{detail[0].upper()}{detail[1:]}")
