"""Where RQ keeps the job of a push in each state, so that `rq info` agrees with the ledger.

`move` turns a change of state into the Redis commands that move the job: out of the place of
the old state, into the place of the new one. They are RQ's own methods, run against a pipeline
that is never sent; the ledger sends the commands together with its own, in one atomic step.
"""

from datetime import datetime
from typing import TypedDict

from redis import Redis
from redis.client import Pipeline
from rq import Queue
from rq.executions import Execution, ExecutionRegistry
from rq.job import JobStatus
from rq.results import Result
from rq.serializers import JSONSerializer

from pushes import jobs, keys
from pushes.model import Change, Push, Reason, State

# What Redis takes as one word of a command.
Word = bytes | str | int | float
Command = tuple[Word, ...]

# How long a worker may be silent before its attempts are given to others. Renewed every third.
LEASE_S = 15


class Placement:
    """The RQ side of the ledger, for one connection."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.queue = Queue(
            jobs.QUEUE, connection=redis, serializer=JSONSerializer, job_class=jobs.PushJob
        )
        self._unchanging: list[Word] | None = None

    def move(self, change: Change) -> list[Command]:
        """List the commands that bring the job from its old place to its new one."""
        before, after = change.before, change.after
        if before is None:
            return self._enqueue_new(after)
        if not change.moves_job:
            return []
        pipeline = self._redis.pipeline(transaction=False)
        self._leave(before, pipeline)
        pipeline.lrem(self.queue.intermediate_queue_key, 1, keys.job_id(after.key))
        if after.discarded:
            jobs.new_job(after, self._redis).delete(pipeline, remove_from_queue=False)
        else:
            self._enter(before, after, pipeline)
        return [args for args, _options in pipeline.command_stack]

    def execution(self, push: Push) -> Execution:
        """Name the RQ execution of a running push."""
        return Execution(
            push.execution_id or "", keys.job_id(push.key), self._redis, push.worker or ""
        )

    def _enqueue_new(self, push: Push) -> list[Command]:
        job_id = keys.job_id(push.key)
        job_key = jobs.PushJob.key_for(job_id)
        return [
            ("SADD", self.queue.redis_queues_keys, self.queue.key),
            ("HSET", job_key, *self._job_fields(push)),
            ("RPUSH", self.queue.key, job_id),
        ]

    def _job_fields(self, push: Push) -> list[Word]:
        # Intake's hot path: RQ serialises one job, every other differs in three fields only.
        if self._unchanging is None:
            fields = jobs.new_job(push, self._redis).to_dict()
            for name in ("created_at", "enqueued_at", "description"):
                del fields[name]
            self._unchanging = [part for pair in fields.items() for part in pair]
        return [
            *self._unchanging,
            *("created_at", jobs.stamp(push.first_push_at)),
            *("enqueued_at", jobs.stamp(push.changed_at)),
            *("description", jobs.describe(push)),
        ]

    def _leave(self, push: Push, pipeline: Pipeline) -> None:
        job_id = keys.job_id(push.key)
        match push.state:
            case State.QUEUED:
                pass  # a worker has popped it already
            case State.RUNNING:
                self.execution(push).delete(jobs.new_job(push, self._redis), pipeline)
            case State.RETRYING | State.HELD:
                self.queue.scheduled_job_registry.remove(job_id, pipeline=pipeline)
            case State.DEAD:
                self.queue.failed_job_registry.remove(job_id, pipeline=pipeline)
            case State.ACKNOWLEDGED | State.NOT_NEEDED:
                self.queue.finished_job_registry.remove(job_id, pipeline=pipeline)

    def _enter(self, before: Push, after: Push, pipeline: Pipeline) -> None:
        job = jobs.new_job(after, self._redis)
        match after.state:
            case State.QUEUED:
                pipeline.delete(job.key, Result.get_key(job.id))  # type: ignore[no-untyped-call]
                for command in self._enqueue_new(after):
                    pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
            case State.RUNNING:
                self._start(after, job, pipeline)
            case State.RETRYING | State.HELD:
                at = after.next_attempt_at or after.changed_at
                self.queue.schedule_job(job, at, pipeline=pipeline)
            case State.ACKNOWLEDGED | State.NOT_NEEDED:
                job.set_status(JobStatus.FINISHED, pipeline=pipeline)
                job._result = str(after.state)
                job._handle_success(jobs.RESULT_TTL_S, pipeline, **_ended(job, before, after))
                job.cleanup(jobs.RESULT_TTL_S, pipeline=pipeline)
            case State.DEAD:
                job.set_status(JobStatus.FAILED, pipeline=pipeline)
                job._handle_failure(_epitaph(after), pipeline, **_ended(job, before, after))

    def _start(self, push: Push, job: jobs.PushJob, pipeline: Pipeline) -> None:
        # What RQ's `prepare_execution` and `prepare_job_execution` write, in one step.
        execution = self.execution(push)
        execution.save(LEASE_S, pipeline)
        ExecutionRegistry(job.id, self._redis).add(execution, LEASE_S, pipeline)
        self.queue.started_job_registry.add_execution(execution, pipeline, LEASE_S)
        pipeline.sadd(execution.worker_executions_key, execution.composite_key)
        pipeline.expire(execution.worker_executions_key, LEASE_S + 60)
        job.prepare_for_execution(execution.worker_name, pipeline)
        pipeline.persist(job.key)


class _Ended(TypedDict):
    worker_name: str
    execution_id: str | None
    execution_started_at: datetime | None
    execution_ended_at: datetime


def _ended(job: jobs.PushJob, before: Push, after: Push) -> _Ended:
    """Note on the job which attempt ended it, if one did, and return the same for RQ's result."""
    attempt = before if before.state is State.RUNNING else None
    job.started_at = attempt.changed_at if attempt else None
    job.ended_at = after.changed_at
    job.worker_name = attempt.worker if attempt else None
    return {
        "worker_name": job.worker_name or "",
        "execution_id": attempt.execution_id if attempt else None,
        "execution_started_at": job.started_at,
        "execution_ended_at": after.changed_at,
    }


def _epitaph(push: Push) -> str:
    """Say what RQ's tools show as the exception of a dead job."""
    step = push.reason.next_step if isinstance(push.reason, Reason) else ""
    return f"{push.reason}: {push.last_error}\nNext: {step}"
