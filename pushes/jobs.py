"""The RQ job of a push: what stands in Redis for a worker, and what of it a worker believes.

A job carries no arguments: its id names the push, so that every value of its hash stays under
64 bytes and Redis stores it packed (595 B instead of 1,940 B). Refused: every job that asks for
another function than ours, every callback and every webhook. Whoever can write to Redis must
not be able to choose what a worker imports or whom it calls.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from redis import Redis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from pushes import keys
from pushes.model import Push

# One queue: with several, RQ loses a job that is popped by a worker killed before it starts.
QUEUE = "klarna-ack"

# A wire format: it stands in Redis in every waiting job, so a rename needs a migration.
JOB_FUNCTION = "worker.jobs.acknowledge_push"

# How long `rq info` shows a finished job. Our own record stays longer.
RESULT_TTL_S = 300

# A dead letter's job never expires: it waits for an operator.
FAILURE_TTL_S = -1

# RQ's backstop for an attempt: two calls of at most 15 s each, and room to write the outcome.
JOB_TIMEOUT_S = 60

# How often RQ's own tools may put an abandoned job back before they would fail it.
_RQ_RETRIES = 3


class UnreadableJobError(Exception):
    """A job hash that is no push of ours: broken, of another serializer or function."""


class PushJob(Job):
    """RQ's Job, reduced to the one function it may run.

    `attempt` is what `worker.jobs.acknowledge_push` runs; the worker sets it, Redis cannot.
    """

    attempt: Callable[[], object] | None = None

    @property
    def func(self) -> Any:  # noqa: ANN401 - RQ's own signature
        """RQ imports what this names. Raises UnreadableJobError for any name but ours."""
        if self.func_name != JOB_FUNCTION or self.instance is not None:
            raise UnreadableJobError(f"the job asks for {str(self.func_name)[:80]!r}")
        return super().func

    def restore(self, raw_data: Any) -> Any:  # noqa: ANN401 - RQ's own signature
        """Read the job's hash, leaving out what would make a worker import or call something."""
        super().restore(raw_data)
        self._success_callback_name = None
        self._failure_callback_name = None
        self._stopped_callback_name = None
        self.webhooks = []


def new_job(push: Push, redis: Redis) -> PushJob:
    """Make the job that stands for `push` in any state, from its record alone. Writes nothing."""
    job: PushJob = PushJob.create(  # type: ignore[assignment]  # RQ types it as a plain Job
        JOB_FUNCTION,
        id=keys.job_id(push.key),
        connection=redis,
        serializer=JSONSerializer,
        origin=QUEUE,
        description=describe(push),
        timeout=JOB_TIMEOUT_S,
        result_ttl=RESULT_TTL_S,
        failure_ttl=FAILURE_TTL_S,
        status=JobStatus.QUEUED,
    )
    job.retries_left = _RQ_RETRIES
    job.created_at = push.first_push_at
    job.enqueued_at = push.changed_at
    return job


def read_job(job_id: str, raw: dict[bytes, bytes], redis: Redis) -> PushJob:
    """Read a job from its hash. Raises UnreadableJobError when it is no push of ours."""
    job = PushJob(job_id, connection=redis, serializer=JSONSerializer)
    try:
        job.restore(raw)
        if job.func_name != JOB_FUNCTION or job.args or job.kwargs or job.instance is not None:
            raise UnreadableJobError(f"the job asks for {str(job.func_name)[:80]!r}")  # noqa: TRY301 - one message for both places
    except UnreadableJobError:
        raise
    except Exception as error:  # whatever RQ meets in a broken hash: zlib, JSON, dates, numbers
        raise UnreadableJobError(f"{type(error).__name__} while reading the job") from error
    return job


def describe(push: Push) -> str:
    """Say in RQ's tools what a job is for; short enough to keep the hash packed."""
    return f"acknowledge {push.key.order_id}"


def stamp(moment: datetime) -> str:
    """Write a time as RQ does."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
