"""The RQ job of a push: what stands in Redis for a worker, and what of it a worker believes.

A job carries no arguments: its id names the push, so that every value of its hash stays under
64 bytes and Redis stores it packed (595 B instead of 1,940 B). Refused: every job that asks for
another function than ours, every callback and every webhook. Whoever can write to Redis must
not be able to choose what a worker imports or whom it calls.
"""

import json
import zlib
from datetime import UTC, datetime

from redis import Redis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from pushes.model import Push, PushKey, State
from pushes.store import keys

# One queue: with several, RQ loses a job that is popped by a worker killed before it starts.
QUEUE = "klarna-ack"

# A wire format: it stands in Redis in every waiting job, so a rename needs a migration.
JOB_FUNCTION = "worker.jobs.acknowledge_push"

# How long `rq info` shows a finished job. Our own record stays longer.
RESULT_TTL_S = 300

# A dead letter's job never expires: it waits for an operator.
FAILURE_TTL_S = -1

# RQ's backstop for an attempt: six calls of at most 15 s each, and room to write the outcome.
JOB_TIMEOUT_S = 105

# How often RQ's own tools may put an abandoned job back before they would fail it.
_RQ_RETRIES = 3


# What every job of ours asks for. RQ would pack it with zlib, reads it unpacked as well, and so do
# we: it is short enough.
DATA = json.dumps([JOB_FUNCTION, None, [], {}])

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A push to take the fields from that all jobs share.
EXAMPLE = Push(
    PushKey("default", "00000000-0000-0000-0000-000000000000"),
    State.QUEUED,
    1,
    _EPOCH,
    _EPOCH,
    _EPOCH,
)


class UnreadableJobError(Exception):
    """A job hash that is no push of ours: broken, of another serializer or function."""


def new_job(push: Push, redis: Redis) -> Job:
    """Make the job that stands for `push` in any state, from its record alone. Writes nothing."""
    job = Job.create(
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


def check(data: bytes) -> None:
    """Look at the `data` of a job's hash; raise UnreadableJobError unless it is ours.

    Ours asks for our function, without arguments, and for nothing else.
    """
    if data == DATA.encode():
        return
    try:  # RQ's own tools pack it when they save a job again
        asked_for = json.loads(zlib.decompress(data))
    except Exception as error:  # whatever zlib and JSON say to rubbish
        raise UnreadableJobError(f"{type(error).__name__} while reading the job") from error
    if asked_for != json.loads(DATA):
        raise UnreadableJobError(f"the job asks for {str(asked_for)[:80]}")


def key(push: Push) -> str:
    """Name the hash of the job of a push."""
    return Job.key_for(keys.job_id(push.key))


def describe(push: Push) -> str:
    """Say in RQ's tools what a job is for; short enough to keep the hash packed."""
    return f"acknowledge {push.key.order_id}"


def stamp(moment: datetime) -> str:
    """Write a time as RQ does."""
    return f"{moment.isoformat(timespec='microseconds')[:26]}Z"  # a third of what strftime costs
