"""How RQ's tools see this process: one RQ worker, registered, beating, with its executions.

It is RQ's own `BaseWorker` as far as Redis is concerned; the work loop is `runner`'s.
"""

import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.suspension import is_suspended
from rq.utils import utcformat
from rq.worker import BaseWorker, WorkerStatus
from rq.worker_registration import register

from pushes import log, policy
from pushes.accounts import clock as redis_clock
from pushes.store import codec, keys
from pushes.store.rq_mirror import LEASE_S, RqMirror
from worker.clock import SYSTEM_CLOCK, Clock
from worker.names import new_name

_log = log.get(__name__)

# RQ keeps a worker's entry this much longer than the worker promises to beat.
_RQ_MARGIN_S = 60


class Heartbeat(BaseWorker):
    """This process in RQ's list of workers."""

    def __init__(
        self, redis: Redis, rq: RqMirror, clock: Clock = SYSTEM_CLOCK, slots: int = 0
    ) -> None:
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
        self.clock_skew = timedelta(0)
        self.settings_read_at = clock.now()
        self._clock = clock
        self._slots = slots
        self._our_version = version("klarna-ack")
        self._counted = 0

    def note_settings_read(self) -> None:
        """Tell from the next beat on that the settings were read just now."""
        self.settings_read_at = self._clock.now()

    def beat(
        self,
        active: int,
        done: int,
        tasks: Mapping[str, datetime] | None = None,
        serves: str = "",
    ) -> None:
        """Show that the process lives, how many attempts it makes and how many it has made.

        `tasks` says when each periodic task succeeded last, `serves` names the hash of the accounts
        that are served. Learn whether RQ is suspended, and how
        far Redis's clock is from ours. Raises RedisError.

        Writes the whole entry, so that one lost with Redis's memory is there again.
        """
        self.compare_clocks()
        state = WorkerStatus.BUSY if active else WorkerStatus.IDLE
        entry = {
            **self.serialize(),
            "last_heartbeat": utcformat(datetime.now(UTC)),
            "state": state,
            keys.WORKER_VERSION_FIELD: self._our_version,
            keys.WORKER_SKEW_FIELD: f"{self.clock_skew.total_seconds():.3f}",
            keys.WORKER_SETTINGS_FIELD: f"{self.settings_read_at.timestamp():.3f}",
            keys.WORKER_SLOTS_FIELD: self._slots,
            keys.WORKER_BUSY_FIELD: active,
            keys.WORKER_SERVES_FIELD: serves,
            keys.WORKER_TASKS_FIELD: codec.to_json(
                {name: round(at.timestamp(), 1) for name, at in (tasks or {}).items()}
            ),
        }
        pipeline = self.connection.pipeline(transaction=False)
        pipeline.hset(self.key, mapping=entry)
        pipeline.hincrby(self.key, "successful_job_count", done - self._counted)
        pipeline.expire(self.key, self.worker_ttl + _RQ_MARGIN_S)
        pipeline.expire(self.executions_key, self.worker_ttl + _RQ_MARGIN_S)
        register(self, pipeline)
        pipeline.execute()
        self._counted = done
        self._note_suspension(is_now=bool(is_suspended(self.connection)))

    def _note_suspension(self, *, is_now: bool) -> None:
        """Say once that `rq suspend` keeps us from taking work, and once that it is over."""
        was_suspended, self.is_suspended = self.is_suspended, is_now
        if is_now and not was_suspended:
            _log.warning(
                "worker.suspended",
                worker=self.name,
                meaning="`rq suspend` was called: orders wait, and nothing is acknowledged",
                action='run `rq resume --url "$REDIS_URL"`; the worker goes on by itself',
            )
        elif was_suspended and not is_now:
            _log.info("worker.suspension_over", worker=self.name)

    @property
    def is_skewed(self) -> bool:
        """Whether our clock is so far from Redis's that nothing may be judged by it."""
        return abs(self.clock_skew) > policy.CLOCK_SLACK

    def compare_clocks(self) -> None:
        """Ask Redis for its time; say once when ours is too far away, and when it is right again.

        An answer that took so long that it tells nothing is ignored. Raises RedisError.
        """
        asked_at = self._clock.now()
        theirs = redis_clock.read(self.connection)
        took = self._clock.now() - asked_at
        if took > policy.CLOCK_SLACK:
            return
        was_skewed = self.is_skewed
        self.clock_skew = asked_at + took / 2 - theirs
        if self.is_skewed == was_skewed:
            return
        skew_s = round(self.clock_skew.total_seconds(), 1)
        if was_skewed:
            _log.info("worker.clock_right_again", worker=self.name, ahead_s=skew_s)
        else:
            _log.error(
                "worker.clock_skewed",
                worker=self.name,
                ahead_s=skew_s,
                allowed_s=policy.CLOCK_SLACK.total_seconds(),
                meaning="by this clock orders would be tried too early or too late, and attempts "
                "of other workers taken for dead; this worker takes no work",
                action="run NTP on this machine and on Redis's; the worker goes on by itself",
            )

    def _set_connection(self, connection: Redis) -> Redis:
        return connection  # RQ would stretch its time limit, and a frozen Redis would go unnoticed
