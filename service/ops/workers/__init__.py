"""Workers: which are alive, where, of which version, with which settings, and what they serve."""

from flask import Blueprint, Response

from pushes import policy
from pushes.read.unreadable import Unreadable
from pushes.read.workers import entries
from service import access, deps
from service.ops.page import render

blueprint = Blueprint("workers", __name__, url_prefix="/workers")


@blueprint.get("/")
def page() -> Response:
    """List the workers; of the accounts that they serve, those that the reader may see."""
    who, redis, unreadable = access.principal(), deps.current().ledger.redis, Unreadable()
    workers = entries.read(redis, unreadable)
    served = entries.accounts_of(redis, workers, unreadable)
    return render(
        "workers/workers.html",
        workers=workers,
        served={name: [it for it in names if who.sees(it)] for name, names in served.items()},
        slack_s=policy.CLOCK_SLACK.total_seconds(),
        versions={worker.version for worker in workers if worker.version},
        unreadable=unreadable.sentences,
    )
