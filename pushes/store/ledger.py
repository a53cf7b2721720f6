"""The ledger: what is known of every push, and the one step in which it may change.

A change writes the record, its timeline, the indexes and the RQ job together, in one script
that runs only while the record is at the revision the caller saw. There is no moment in which
one of them exists without the others, and no change is lost to another process.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import cast

from redis import Redis
from redis.exceptions import ResponseError
from rq.worker_registration import clean_worker_registry

from pushes import life, log, policy
from pushes.life import KLARNA, Origin
from pushes.model import Change, Entry, Push, PushKey, State
from pushes.store import codec, indexes, keys
from pushes.store.commits import Commits, Raw
from pushes.store.rq_job import PushJob
from pushes.store.rq_mirror import Command, RqMirror
from pushes.store.templates import Templates

_log = log.get(__name__)

# The field of a record that says which commit wrote it last.
_COMMIT_FIELD = "commit"

Decide = Callable[[Push | None], Change | None]


class UnreadableRecordError(Exception):
    """A record that this program did not write; the message names its key."""


class Ledger:
    """The records of all pushes on one Redis. Threads may share it.

    Every method raises redis.exceptions.RedisError when Redis does not answer; then nothing is
    known to be written, and asking again is safe.
    """

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.rq = RqMirror(redis)
        self.templates = Templates(self.text)
        self._commits = Commits(redis)

    def get(self, key: PushKey) -> Push | None:
        """Read one record."""
        return _read(key, cast(Raw, self.redis.hgetall(keys.record(key))))

    def get_many(self, wanted: Iterable[PushKey]) -> list[Push | None]:
        """Read records in one round trip, in the order asked for.

        One that cannot be read is reported and given as None, so that it holds up no other.
        """
        wanted = list(wanted)
        pipeline = self.redis.pipeline(transaction=False)
        for key in wanted:
            pipeline.hgetall(keys.record(key))
        answers = pipeline.execute(raise_on_error=False)
        return [_read_or_report(key, raw) for key, raw in zip(wanted, answers, strict=True)]

    def get_with_jobs(
        self, wanted: Iterable[PushKey]
    ) -> list[tuple[bytes | ResponseError | None, Push | None]]:
        """Read the `data` of RQ jobs and the records they point to, in one round trip.

        A job whose hash is gone is None; one that is no hash is the error Redis answers.
        """
        wanted = list(wanted)
        pipeline = self.redis.pipeline(transaction=False)
        for key in wanted:
            pipeline.hget(PushJob.key_for(keys.job_id(key)), "data")
            pipeline.hgetall(keys.record(key))
        answers = pipeline.execute(raise_on_error=False)
        records_of = zip(wanted, answers[1::2], strict=True)
        pushes = [_read_or_report(key, raw) for key, raw in records_of]
        return list(zip(answers[::2], pushes, strict=True))

    def read(self, key: PushKey, raw: Raw) -> Push | None:
        """Read a record from the fields of its hash, as `get_many` does."""
        return _read_or_report(key, raw)

    def drop_foreign(self, job_id: bytes) -> None:
        """Take a job that names no push out of the queue, and say so."""
        queue = self.rq.queue
        for place in (queue.key, queue.intermediate_queue_key):
            self.redis.lrem(place, 1, cast(str, job_id))
        self.count_event("foreign_job_dropped")
        _log.error(
            "queue.foreign_job_dropped",
            job_id=repr(job_id[:80]),
            meaning="somebody put a job that is no push into our queue; no order is concerned",
            action="find out who writes to this Redis",
        )

    def forget_popped(self, job_id: bytes) -> None:
        """Take a job out of RQ's intermediate list: nothing more is to be done for it."""
        self.redis.lrem(self.rq.queue.intermediate_queue_key, 1, cast(str, job_id))

    def timeline(self, key: PushKey) -> list[Entry]:
        """Read the last entries of a push, oldest first."""
        raw = cast(list[bytes], self.redis.lrange(keys.timeline(key), 0, -1))
        return [codec.decode_entry(line.decode()) for line in raw]

    def update(self, key: PushKey, decide: Decide, seen: Push | None = None) -> Change | None:
        """Change a record: ask `decide` what becomes of it, commit that, ask again when it moved.

        `seen` is the record as the caller last read it (None: none exists); when it is stale,
        `decide` is called again with the present one. Returns what was committed, or None when
        `decide` wanted no change.
        """
        while (change := decide(seen)) is not None:
            present = self._commits.run(*self._words(change))
            if _is_committed(change, present):
                return change
            seen = _read(key, present or [])
        return None

    def accept(self, key: PushKey, now: datetime, origin: Origin = KLARNA) -> Push:
        """Take in a push: record it, queue its order if it needs an attempt; return the record.

        Exactly one job per order, however often it is pushed. Returns only after Redis confirmed
        the write; when it raises, the push counts as not received, and receiving it again is
        safe. A new order costs one round trip, a known one two.
        """
        change = self.update(key, lambda push: life.pushed(push, key, now, origin))
        assert change is not None  # noqa: S101 - `pushed` always returns a change
        return change.after

    def advance(
        self, key: PushKey, step: Callable[[Push], Change | None], seen: Push | None = None
    ) -> Change | None:
        """Take a step in the life of a push that exists, as `update` does.

        None also when there is no such push. `seen` spares reading the record first.
        """
        return self.update(
            key, lambda push: None if push is None else step(push), seen or self.get(key)
        )

    def update_many(self, changes: list[Change], forget: Iterable[str] = ()) -> list[bool]:
        """Commit changes of different pushes in one round trip; say which were still current.

        Asking again with the same changes is safe: one that was made is recognised. `forget` are
        keys to delete on the way.
        """
        pipeline = self.redis.pipeline(transaction=False)
        for change in changes:
            self._commits.add(pipeline, *self._words(change))
        for name in forget:
            pipeline.delete(name)
        answers = pipeline.execute()[: len(changes)]
        return [_is_committed(*pair) for pair in zip(changes, answers, strict=True)]

    def remove_many(self, pushes: list[Push]) -> list[Push]:
        """Forget pushes in one round trip; return those that were still as the caller saw them."""
        pipeline = self.redis.pipeline(transaction=False)
        for push in pushes:
            commands = [*self.rq.remove(push), *indexes.removal(push)]
            words = keys.record(push.key), str(push.rev), codec.to_json(commands)
            self._commits.add(pipeline, *words)
        answers = pipeline.execute()
        return [push for push, present in zip(pushes, answers, strict=True) if present is None]

    def accounts(self) -> list[str]:
        """Name the accounts that ever had a push."""
        return sorted(
            name.decode() for name in cast(set[bytes], self.redis.smembers(keys.ACCOUNTS))
        )

    def counts(self, now: datetime) -> dict[State, int]:
        """Count the pushes in each state; settled ones of the retention time only."""
        horizon = codec.epoch(now - policy.RETENTION)
        pipeline = self.redis.pipeline(transaction=False)
        for state in State:
            pipeline.zcount(keys.index(state), horizon if state.is_settled else "-inf", "+inf")
        return dict(zip(State, pipeline.execute(), strict=True))

    def oldest_deadline(self) -> datetime | None:
        """Say when the first of the waiting pushes reaches its deadline."""
        pipeline = self.redis.pipeline(transaction=False)
        for state in (state for state in State if state.is_waiting):
            pipeline.zrange(keys.index(state), 0, 0, withscores=True)
        scores = [member[1] for members in pipeline.execute() for member in members]
        return codec.moment(str(min(scores))) if scores else None

    def members(self, state: State) -> list[PushKey]:
        """List the pushes in one state, the most urgent or oldest first."""
        raw = cast(list[bytes], self.redis.zrange(keys.index(state), 0, -1))
        return [key for member in raw if (key := keys.find_key(member))]

    def forget_expired(self, now: datetime) -> None:
        """Take out of the indexes, ours and RQ's, what expired by itself."""
        horizon = codec.epoch(now - policy.RETENTION)
        pipeline = self.redis.pipeline(transaction=False)
        for state in (state for state in State if state.is_settled):
            pipeline.zremrangebyscore(keys.index(state), "-inf", f"({horizon}")
        pipeline.execute()
        self.rq.queue.finished_job_registry.cleanup()
        clean_worker_registry(self.rq.queue)

    def count_event(self, event: str, count: int = 1) -> None:
        """Count an event that operators watch over all processes: see `keys.COUNTERS`."""
        self.redis.hincrby(keys.COUNTERS, event, count)

    def counters(self) -> dict[str, int]:
        """Read what was counted since the ledger began."""
        raw = cast(dict[bytes, bytes], self.redis.hgetall(keys.COUNTERS))
        return {event.decode(): int(count) for event, count in raw.items()}

    def _words(self, change: Change) -> tuple[str, str, str]:
        """Say what the script is told: the record, the revision seen, the commands."""
        seen = str(change.before.rev) if change.before else ""
        return keys.record(change.after.key), seen, self.templates.text(change)

    def text(self, change: Change) -> str:
        """Write all that a change does as the script takes it: a JSON list of commands."""
        commands: list[Command] = [
            ("HSET", keys.record(change.after.key), _COMMIT_FIELD, change.token),
            *indexes.commands(change),
            *self.rq.move(change),
        ]
        return codec.to_json(commands)


def _is_committed(change: Change, present: Raw | None) -> bool:
    """Tell a change that came too late from one that was made, but whose answer got lost.

    A client that got no answer sends the script again, and then meets its own change.
    """
    return present is None or _texts(present).get(_COMMIT_FIELD) == change.token


def _read(key: PushKey, raw: Raw | ResponseError) -> Push | None:
    if not raw:
        return None
    if isinstance(raw, ResponseError):
        raise UnreadableRecordError(f"{keys.record(key)}: not a hash")
    try:
        return codec.decode(key, _texts(raw))
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableRecordError(f"{keys.record(key)}: {type(error).__name__}") from error


def _texts(raw: Raw) -> dict[str, str]:
    pairs = raw.items() if isinstance(raw, dict) else zip(raw[::2], raw[1::2], strict=True)
    return {name.decode(): value.decode() for name, value in pairs}


def _read_or_report(key: PushKey, raw: Raw | ResponseError) -> Push | None:
    try:
        return _read(key, raw)
    except UnreadableRecordError as error:
        _log.error(
            "record.unreadable",
            order_id=key.order_id,
            account=key.account,
            error=str(error),
            meaning="nothing more happens to this order here until the record is readable",
            action="acknowledge the order by hand, then delete the key; find out who wrote it",
        )
        return None
