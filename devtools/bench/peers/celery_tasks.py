"""Celery over Redis, told to take a message off the queue only when its task is done.

Its gevent pool makes a greenlet for each task, so a Session of one's own would be a connection for
each order: they share one.
"""

import os

from celery import Celery  # type: ignore[import-not-found]  # peers only

from devtools.bench.peers import calls

_CONCURRENCY = 64

app = Celery("bench", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_acks_late=True,  # otherwise a killed worker loses what it had begun
    task_ignore_result=True,
)
_session = calls.new_session(_CONCURRENCY)


@app.task  # type: ignore[untyped-decorator]  # Celery has no types
def acknowledge(order_id: str) -> None:
    """Do the job."""
    calls.acknowledge_through(_session, order_id)


def send(order_id: str) -> None:
    """Queue one order."""
    acknowledge.delay(order_id)
