"""What a job that was taken means: the record decides, the job only points to it.

Refused: jobs that are no push of ours, whoever put them there.
"""

from contextlib import suppress
from datetime import datetime
from random import getrandbits

from pushes import life
from pushes.life import Origin
from pushes.model import Change, Lane, Reason
from pushes.store import keys, rq_job
from pushes.store.ledger import Ledger, UnreadableRecordError
from worker.claiming.claims import Claim, Errand


def judge(claim: Claim, worker: str, now: datetime) -> Change | None:
    """Say what becomes of the push. None: its job needs nothing more, and is dropped."""
    push = claim.push
    if push is None:
        return None
    if claim.data is None:
        return life.requeued(push, now)
    try:
        rq_job.check(claim.data)
    except rq_job.UnreadableJobError as error:
        dead = life.dead(push, Reason.UNREADABLE, now, str(error))
        return dead if push.state.is_waiting else None
    if claim.errand is Errand.PARK and claim.why_held:
        return life.parked(push, claim.why_held, now)
    return life.started(push, worker, f"{getrandbits(128):032x}", now)


def drop(ledger: Ledger, claim: Claim, now: datetime) -> None:
    """Forget a job; one without a record is taken in anew, since it may be an order."""
    if claim.push is None:
        with suppress(UnreadableRecordError):  # reported when it was read; nobody can help it here
            ledger.accept(claim.key, now, Origin("found_in_queue", lane=Lane.BACKLOG))
    ledger.forget_popped(keys.job_id(claim.key).encode())
