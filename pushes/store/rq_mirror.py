"""Where RQ keeps the job of a push in each state, so that `rq info` agrees with the ledger.

`move` turns a change of state into the Redis commands that move the job: out of the place of
the old state, into the place of the new one. The ledger sends them together with its own, in
one atomic step. They write what RQ's own worker writes, key by key and field by field; a test
runs RQ's worker and ours over the same jobs and compares what is left in Redis.
"""

import json
import zlib
from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime

from redis import Redis
from rq import Queue
from rq.executions import Execution, ExecutionRegistry
from rq.job import JobStatus
from rq.results import Result
from rq.serializers import JSONSerializer

from pushes.model import Change, Lane, Push, Reason, State
from pushes.store import codec, keys, rq_job

# One word of a command. Text only, since the ledger sends commands as JSON. Besides Redis's own
# commands there are JOIN_QUEUE and LEAVE_QUEUE, which `waiting.lua` carries out, and COUNT, which
# `commit.lua` does.
Word = str | int | float
Command = tuple[Word, ...]

# How long a worker may be silent before its attempts are given to others. Renewed every third.
LEASE_S = 15

# Where RQ's schedule keeps a push that no time queues: a held one waits for its account, and one
# whose worker died for an attempt alone. RQ's own scheduler must not think that it knows.
_NOT_BY_TIME = datetime(2100, 1, 1, tzinfo=UTC)

# RQ keeps the list of a job's executions, and the executions of a worker, this much longer.
_RQ_MARGIN_S = 60

# RQ keeps the last ten results of a job.
_RESULTS_KEPT = 10


class RqMirror:
    """The RQ side of the ledger. Sends nothing itself."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.queue = Queue(rq_job.QUEUE, connection=redis, serializer=JSONSerializer)
        self._waiting = self.queue.key
        self.deferred = self.queue.deferred_job_registry.key
        self._popped = self.queue.intermediate_queue_key
        self.started = self.queue.started_job_registry.key
        self._scheduled: str = self.queue.scheduled_job_registry.key
        self.finished = self.queue.finished_job_registry.key
        self._failed: str = self.queue.failed_job_registry.key
        self._unchanging = _unchanging_fields(redis)

    def move(self, change: Change) -> list[Command]:
        """List the commands that bring the job from its old place to its new one.

        All but the last, which `enqueue` lists.
        """
        before, after = change.before, change.after
        if before is None:
            return self._prepare(after)
        if not change.moves_job:
            return []
        job_id = keys.job_id(after.key)
        commands = [*self._leave(before), ("LREM", self._popped, 1, job_id)]
        if change.rebuilds_job:  # it may stand anywhere: somebody else has moved it
            lanes = (keys.ready(after.key.account, lane) for lane in Lane)
            commands += [("ZREM", place, job_id) for place in (*self.registries, *lanes)]
            commands.append(("LEAVE_QUEUE", self._waiting, self.deferred, job_id))
        if after.discarded:
            return [*commands, ("DEL", *_keys_of(after))]
        return [*commands, *self._enter(before, after)]

    def enqueue(self, change: Change) -> list[Command]:
        """List what puts the job into the queue, which twice done would put it there twice."""
        if change.after.state is not State.QUEUED or not change.moves_job:
            return []
        push, job_id = change.after, keys.job_id(change.after.key)
        join = ("JOIN_QUEUE", self._waiting, self.deferred, rq_job.key(push), job_id)
        return [(*join, codec.epoch(push.first_push_at))]

    def remove(self, push: Push) -> list[Command]:
        """List the commands that remove the job from RQ, wherever it stands."""
        return [*self._leave(push), ("DEL", *_keys_of(push))]

    @property
    def registries(self) -> tuple[str, ...]:
        """Name RQ's registries that hold the jobs of our queue, but for those that wait or run."""
        canceled = self.queue.canceled_job_registry.key
        return (self._scheduled, self.finished, self._failed, canceled)

    @property
    def sorted_sets(self) -> tuple[str, ...]:
        """Name every sorted set of RQ in which a job of our queue can stand."""
        return (*self.registries, self.started, self.deferred)

    @property
    def types(self) -> dict[str, str]:
        """Name the type that each key of RQ's has to have in which our jobs stand."""
        lists = dict.fromkeys((self._waiting, self._popped), "list")
        return lists | dict.fromkeys(self.sorted_sets, "zset")

    def registry(self, push: Push) -> str | None:
        """Name the registry in which the job of a push has to stand; None when in none.

        That of a settled one stands among the finished for a while, and need not.
        """
        match push.state:
            case State.RETRYING | State.HELD:
                return self._scheduled
            case State.DEAD if not push.discarded:
                return self._failed
            case _:
                return None

    def execution(self, push: Push) -> Execution:
        """Name the RQ execution of a running push."""
        return Execution(
            push.execution_id or "", keys.job_id(push.key), self._redis, push.worker or ""
        )

    def _leave(self, push: Push) -> list[Command]:
        job_id = keys.job_id(push.key)
        match push.state:
            case State.QUEUED:  # a worker has popped it
                return [("ZREM", keys.ready(push.key.account, push.lane), job_id)]
            case State.RUNNING:
                return self.end_execution(push)
            case State.RETRYING | State.HELD:
                return [("ZREM", self._scheduled, job_id)]
            case State.DEAD:
                return [("ZREM", self._failed, job_id)]
            case State.ACKNOWLEDGED | State.NOT_NEEDED:
                return [("ZREM", self.finished, job_id)]

    def _enter(self, before: Push, after: Push) -> list[Command]:
        match after.state:
            case State.QUEUED:
                return [("DEL", *_keys_of(after)), *self._prepare(after)]
            case State.RUNNING:
                return self._start(after)
            case State.RETRYING | State.HELD:
                return self._schedule(after)
            case State.ACKNOWLEDGED | State.NOT_NEEDED:
                return self._finish(before, after)
            case State.DEAD:
                return self._fail(before, after)

    def _prepare(self, push: Push) -> list[Command]:
        return [
            ("SADD", self.queue.redis_queues_keys, self._waiting),
            self._save_job(push),
            (
                *("ZADD", keys.ready(push.key.account, push.lane)),
                *(codec.epoch(push.deadline_at), keys.job_id(push.key)),
            ),
            ("SADD", keys.WORK_ARRIVED, push.key.account),
        ]

    def _start(self, push: Push) -> list[Command]:
        execution, job_id = self.execution(push), keys.job_id(push.key)
        began = push.changed_at.timestamp()
        known_as = ("id", execution.id, "job_id", job_id, "worker_name", execution.worker_name)
        of_job = ExecutionRegistry.key_template.format(job_id)
        of_worker = execution.worker_executions_key
        stamp = rq_job.stamp(push.changed_at)
        return [
            ("HSET", execution.key, *known_as, "created_at", began, "last_heartbeat", began),
            ("EXPIRE", execution.key, LEASE_S),
            ("ZADD", of_job, int(began) + LEASE_S + _RQ_MARGIN_S, execution.id),
            ("EXPIRE", of_job, LEASE_S + _RQ_MARGIN_S),
            ("ZADD", self.started, int(began) + LEASE_S, execution.composite_key),
            ("SADD", of_worker, execution.composite_key),
            ("EXPIRE", of_worker, LEASE_S + _RQ_MARGIN_S),
            (
                *("HSET", rq_job.key(push), "status", JobStatus.STARTED.value),
                *("started_at", stamp, "last_heartbeat", stamp),
                *("worker_name", execution.worker_name),
            ),
            ("PERSIST", rq_job.key(push)),
        ]

    def end_execution(self, push: Push) -> list[Command]:
        """List what takes the execution of a running push out of RQ's books."""
        execution = self.execution(push)
        of_job = ExecutionRegistry.key_template.format(execution.job_id)
        return [
            ("DEL", execution.key),
            ("ZREM", self.started, execution.composite_key),
            ("ZREM", of_job, execution.id),
            ("SREM", execution.worker_executions_key, execution.composite_key),
        ]

    def _schedule(self, push: Push) -> list[Command]:
        due = push.next_attempt_at
        if due is None or push.runs_alone:  # it is not for the clock to queue it
            due = _NOT_BY_TIME
        return [
            ("HSET", rq_job.key(push), "status", JobStatus.SCHEDULED.value, *_ended(push)),
            ("ZADD", self._scheduled, due.timestamp(), keys.job_id(push.key)),
        ]

    def _finish(self, before: Push, after: Push) -> list[Command]:
        results, expires = _results_key(after), int(after.changed_at.timestamp())
        value = b64encode(json.dumps(str(after.state)).encode()).decode()
        return [
            ("HSET", rq_job.key(after), "status", JobStatus.FINISHED.value, *_ended(after)),
            ("ZADD", self.finished, expires + rq_job.RESULT_TTL_S, keys.job_id(after.key)),
            ("EXPIRE", rq_job.key(after), rq_job.RESULT_TTL_S),
            _add_result(before, after, Result.Type.SUCCESSFUL, ("return_value", value)),
            ("EXPIRE", results, rq_job.RESULT_TTL_S),
        ]

    def _fail(self, before: Push, after: Push) -> list[Command]:
        epitaph = b64encode(zlib.compress(_epitaph(after).encode(errors="replace"))).decode()
        # A job that never ran may be dead because its hash is rubbish: it is made anew.
        anew = [] if before.state is State.RUNNING else [("DEL", rq_job.key(after))]
        return [
            *anew,
            *([self._save_job(after)] if anew else []),
            ("HSET", rq_job.key(after), "status", JobStatus.FAILED.value, *_ended(after)),
            ("ZADD", self._failed, rq_job.FAILURE_TTL_S, keys.job_id(after.key)),
            ("PERSIST", _results_key(after)),
            _add_result(before, after, Result.Type.FAILED, ("exc_string", epitaph)),
        ]

    def _save_job(self, push: Push) -> Command:
        return (
            *("HSET", rq_job.key(push), *self._unchanging),
            *("created_at", rq_job.stamp(push.first_push_at)),
            *("enqueued_at", rq_job.stamp(push.changed_at)),
            *("description", rq_job.describe(push)),
        )


def _unchanging_fields(redis: Redis) -> tuple[Word, ...]:
    """List the fields that all our jobs share, as RQ itself writes them, but for empty ones.

    RQ reads an empty one as one that is not there.
    """
    fields = rq_job.new_job(rq_job.EXAMPLE, redis).to_dict() | {"data": rq_job.DATA}
    changing = {"created_at", "enqueued_at", "description"}
    return tuple(
        word
        for name, value in fields.items()
        if name not in changing and value != ""
        for word in (name, value)
    )


def _ended(push: Push) -> Iterable[Word]:
    return ("ended_at", rq_job.stamp(push.changed_at))


def _add_result(before: Push, after: Push, kind: Result.Type, what: tuple[Word, Word]) -> Command:
    attempt: tuple[Word, ...] = ()
    if before.state is State.RUNNING:
        attempt = (
            *("execution_id", before.execution_id or ""),
            *("execution_started_at", before.changed_at.timestamp()),
            *("execution_ended_at", after.changed_at.timestamp()),
        )
    return (
        *("XADD", _results_key(after), "MAXLEN", "~", _RESULTS_KEPT, "*"),
        *("type", kind.value, "worker_name", before.worker or "", *what, *attempt),
    )


def _keys_of(push: Push) -> tuple[str, str]:
    return rq_job.key(push), _results_key(push)


def _results_key(push: Push) -> str:
    return str(Result.get_key(keys.job_id(push.key)))  # type: ignore[no-untyped-call]


def _epitaph(push: Push) -> str:
    """Say what RQ's tools show as the exception of a dead job."""
    step = push.reason.next_step if isinstance(push.reason, Reason) else ""
    return f"{push.reason}: {push.last_error}\nNext: {step}"
