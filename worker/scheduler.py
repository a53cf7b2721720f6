"""Puts back in the queue what has waited long enough: retries and held pushes.

Every worker runs it. Two workers that find the same push due do no harm: the ledger takes the
first change only.
"""

from datetime import datetime

from rq.registry import ScheduledJobRegistry

from pushes import keys, life
from pushes.ledger import Ledger

# One look takes this many at most, so that a backlog cannot hold up the next look for long.
_BATCH = 500


def queue_due(ledger: Ledger, now: datetime) -> int:
    """Queue the pushes whose time has come; return how many this call queued."""
    registry: ScheduledJobRegistry = ledger.placement.queue.scheduled_job_registry
    due = registry.get_jobs_to_schedule(int(now.timestamp()), chunk_size=_BATCH)
    if not due:
        return 0
    pushes = ledger.get_many(keys.parse_job_id(job_id) for job_id in due)
    changes = [life.due(push, now) for push in pushes if push is not None]
    return sum(ledger.update_many([change for change in changes if change is not None]))
