"""What is left in Redis for ever when all is quiet. Reads only."""

from rq.job import Job
from rq.results import Result

from pushes.accounts.settings import DEFAULT_ACCOUNT
from pushes.model import Reason, State
from pushes.store import indexes, keys, records, rq_job
from pushes.store.counted.series import Range
from pushes.store.ledger import Ledger

_NO_EXPIRY = -1


def never_expiring(ledger: Ledger) -> list[str]:
    """List the keys that never expire and are none of those that may stay."""
    redis = ledger.redis
    names = [name.decode() for name in redis.scan_iter(count=1000)]
    pipeline = redis.pipeline(transaction=False)
    for name in names:
        pipeline.ttl(name)
    lasting = {
        name for name, ttl in zip(names, pipeline.execute(), strict=True) if ttl == _NO_EXPIRY
    }
    return sorted(lasting - _may_stay(ledger))


def _may_stay(ledger: Ledger) -> set[str]:
    queue = ledger.rq.queue
    stay = {keys.ACCOUNTS, keys.COUNTERS, keys.UNACKNOWLEDGED, *map(keys.index, State)}
    stay |= {keys.TOTALS, keys.QUOTA_TOTALS, keys.RUNS}
    # Streams that are cut at their ends.
    stay |= {keys.AUDIT, *map(keys.series, Range)}
    # One member for each cause of death that ever was.
    stay.add(keys.CAUSES)
    stay |= {keys.RESENDS, keys.RESEND_TOTALS}
    stay |= {keys.dead_letters(DEFAULT_ACCOUNT, reason) for reason in Reason}
    stay |= {keys.SERVED, *map(keys.dead_of, Reason)}
    # One member for each account.
    stay |= {keys.WORK, keys.WORK_ARRIVED, keys.HELD_ACCOUNTS, keys.UNSERVED}
    stay |= {queue.key, queue.intermediate_queue_key, queue.redis_queues_keys}
    stay |= {"rq:workers", f"rq:workers:{rq_job.QUEUE}"}
    stay |= {
        registry.key
        for registry in (
            queue.started_job_registry,
            queue.scheduled_job_registry,
            queue.finished_job_registry,
            queue.failed_job_registry,
        )
    }
    for key in indexes.members(ledger.redis, State.DEAD):
        stay |= {keys.record(key), keys.timeline(key)}
        push = records.get(ledger.redis, key)
        stay |= indexes.places(push).keys() if push else set()
        stay.add(Job.key_for(keys.job_id(key)))
        stay.add(str(Result.get_key(keys.job_id(key))))  # type: ignore[no-untyped-call]
    return stay
