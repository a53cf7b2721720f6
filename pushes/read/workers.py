"""Counting live workers. Reads only: RQ's own ways of counting clean up as they count."""

from redis import Redis
from rq.worker_registration import get_keys

from pushes.store.rq_mirror import RqMirror

# With every heartbeat RQ lets a worker's key live for the worker's ttl and 60 s more, and for 60 s
# when it ends. A key with less left is that of a worker which ended or missed its heartbeats.
_SILENT_BELOW_S = 60


def live_workers(redis: Redis) -> int:
    """Count the workers that beat; no clocks of two machines are compared."""
    pipeline = redis.pipeline(transaction=False)
    for key in get_keys(queue=RqMirror(redis).queue):
        pipeline.ttl(key)
    return sum(ttl_s > _SILENT_BELOW_S for ttl_s in pipeline.execute())
