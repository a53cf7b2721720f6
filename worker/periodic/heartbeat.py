"""How RQ's tools see this process: one RQ worker, registered, beating, with its executions.

It is RQ's own `BaseWorker` as far as Redis is concerned; the work loop is `runner`'s.
"""

import os
import socket
from datetime import UTC, datetime
from importlib.metadata import version

from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.suspension import is_suspended
from rq.utils import utcformat
from rq.worker import BaseWorker, WorkerStatus
from rq.worker_registration import register

from pushes.store import keys
from pushes.store.rq_mirror import LEASE_S, RqMirror
from worker.names import new_name

# RQ keeps a worker's entry this much longer than the worker promises to beat.
_RQ_MARGIN_S = 60


class Heartbeat(BaseWorker):
    """This process in RQ's list of workers."""

    def __init__(self, redis: Redis, rq: RqMirror) -> None:
        super().__init__(
            [rq.queue],
            name=new_name(),
            connection=redis,
            worker_ttl=LEASE_S,
            job_class=Job,
            serializer=JSONSerializer,
            prepare_for_work=False,  # it would ask Redis, which may be away when we start
        )
        self.hostname, self.pid = socket.gethostname(), os.getpid()
        self.is_suspended = False  # by `rq suspend`
        self._our_version = version("klarna-ack")
        self._counted = 0

    def beat(self, active: int, done: int) -> None:
        """Show that the process lives, how many attempts it makes and how many it has made.

        Learn whether RQ is suspended. Raises RedisError.

        Writes the whole entry, so that one lost with Redis's memory is there again.
        """
        state = WorkerStatus.BUSY if active else WorkerStatus.IDLE
        entry = {
            **self.serialize(),
            "last_heartbeat": utcformat(datetime.now(UTC)),
            "state": state,
            keys.WORKER_VERSION_FIELD: self._our_version,
        }
        pipeline = self.connection.pipeline(transaction=False)
        pipeline.hset(self.key, mapping=entry)
        pipeline.hincrby(self.key, "successful_job_count", done - self._counted)
        pipeline.expire(self.key, self.worker_ttl + _RQ_MARGIN_S)
        pipeline.expire(self.executions_key, self.worker_ttl + _RQ_MARGIN_S)
        register(self, pipeline)
        pipeline.execute()
        self._counted = done
        self.is_suspended = bool(is_suspended(self.connection))

    def _set_connection(self, connection: Redis) -> Redis:
        return connection  # RQ would stretch its time limit, and a frozen Redis would go unnoticed
