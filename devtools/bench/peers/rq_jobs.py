"""RQ, for `Worker` and `SimpleWorker` alike."""

import os

from redis import Redis
from rq import Queue

from devtools.bench.peers import calls

QUEUE = "bench"
_queue = Queue(QUEUE, connection=Redis.from_url(os.environ["REDIS_URL"]))


def acknowledge(order_id: str) -> None:
    """Do the job."""
    calls.acknowledge(order_id)


def send(order_id: str) -> None:
    """Queue one order."""
    _queue.enqueue(acknowledge, order_id)
