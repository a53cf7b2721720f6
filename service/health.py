"""Whether the web process is alive, and whether it can keep its promise."""

from flask import Blueprint, Response, current_app, jsonify
from redis.exceptions import RedisError

from pushes.store import keys
from pushes.store.ledger import Ledger
from service.errors import problem

# The write that asks whether Redis takes writes leaves nothing behind for long.
_PROBE_TTL_S = 60

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def alive() -> Response:
    """Say that the process answers. Looks at nothing else: a restart would not help Redis."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def ready() -> Response:
    """Say whether pushes are stored durably: Redis answers, takes writes and persists them."""
    ledger: Ledger = current_app.extensions["ledger"]
    try:
        ledger.redis.set(keys.WRITE_PROBE, "1", ex=_PROBE_TTL_S)
        persistence = ledger.redis.info("persistence")
    except RedisError as error:
        return problem(
            503,
            "Redis takes no writes",
            f"{type(error).__name__}: {str(error)[:100]}. Pushes are answered 503 and Klarna "
            "re-sends them. Bring Redis back, or look at its memory, disk and replicas.",
        )
    if not persistence.get("aof_enabled"):
        return problem(
            503,
            "Redis does not persist",
            "Its append-only file is off, so a crash of Redis loses accepted pushes. "
            "Set `appendonly yes`.",
        )
    if persistence.get("aof_last_write_status", "ok") != "ok":
        return problem(
            503, "Redis cannot write its append-only file", "Look at Redis's disk and its log."
        )
    return jsonify(status="ok")
