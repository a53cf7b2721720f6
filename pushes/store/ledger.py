"""The ledger: the one step in which a push may change.

A change writes the record, its timeline, the indexes and the RQ job together, in one script that
runs only while the record is as the caller saw it. No change is lost to another process, and what
fails on the way leaves the record as it was, so that the same change is made again.

What cannot be read costs only itself: a record is written anew, as a dead letter, and another key
of a wrong type is set aside.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import cast

from redis import Redis
from redis.exceptions import NoScriptError, ResponseError

from pushes import fraud, life, log, policy
from pushes.model import Change, Push, PushKey
from pushes.origin import KLARNA, Origin
from pushes.store import codec, indexes, keys, records
from pushes.store.connection import is_of_one_key, read_script
from pushes.store.counted import resend_counts, run_counts, totals
from pushes.store.records import Raw
from pushes.store.repair import quarantine
from pushes.store.rq_mirror import Command, RqMirror
from pushes.store.server.replicas import Replicas
from pushes.store.texts import search_index

_log = log.get(__name__)

Step = Callable[[Push], Change | None]

_COMMIT_FIELD = indexes.COMMIT_FIELD.encode()

_Arguments = tuple[list[str], list[str]]


class CommitResult(Enum):
    """What became of a change."""

    MADE = "it was made, now or when it was asked for before"
    STALE = "the record is not as the caller saw it; nothing was changed"
    FAILED = "something that belongs to this push alone prevents it; logged"


class Ledger:
    """Changes the records of all pushes on one Redis. Threads may share it.

    Every method raises redis.exceptions.RedisError when Redis does not answer or refuses; then
    nothing is known to be written, and asking again is safe. With `wait_replicas`, a change counts
    as made once so many replicas have it, too. Records of settled and of discarded pushes expire
    after `retention`.
    """

    def __init__(
        self, redis: Redis, *, retention: timedelta = policy.RETENTION, wait_replicas: int = 0
    ) -> None:
        self.redis = redis
        self.retention = retention
        self.replicas = Replicas(redis, wait_replicas)
        self.rq = RqMirror(redis)
        self._commit = redis.register_script(
            read_script("pushes.store", "waiting.lua", "commit.lua")
        )

    def accept(self, key: PushKey, now: datetime, origin: Origin = KLARNA) -> Push:
        """Take in a push: record it, queue its order if it needs an attempt; return the record.

        Exactly one job per order, however often it is pushed. Returns only after Redis confirmed
        the write; when it raises, the push counts as not received, and receiving it again is
        safe. A new order costs one round trip, a known one two.
        """
        change = life.first_pushed(key, now, origin)
        while (present := self._run(change)) is not None:
            seen = records.read(key, present)
            change = (
                fraud.pushed_again(seen, now, origin)
                if seen
                else life.first_pushed(key, now, origin)
            )
        return change.after

    def notify(self, key: PushKey, event: str, now: datetime, origin: Origin) -> Push:
        """Take in a fraud notification, as `accept` does a push; return the record.

        It is due on the record until an attempt has verified it; its order is queued for that.
        """
        change = fraud.first_notified(key, event, now, origin)
        while (present := self._run(change)) is not None:
            seen = records.read(key, present)
            if seen is None:
                change = fraud.first_notified(key, event, now, origin)
            elif (again := fraud.notified(seen, event, now, origin)) is not None:
                change = again
            else:
                return seen
        return change.after

    def advance(self, key: PushKey, step: Step, seen: Push | None = None) -> Change | None:
        """Take a step in the life of a push: commit what `step` makes of its record.

        `seen` spares reading the record first; when it is stale, `step` is called again with the
        present one. Returns what was committed; None when there is no such push or `step` wanted
        no change.
        """
        push = seen or records.get(self.redis, key)
        while push is not None and (change := step(push)) is not None:
            present = self._run(change)
            if present is None:
                return change
            push = records.read(key, present)
        return None

    def read_many(self, wanted: Iterable[PushKey], now: datetime) -> list[Push | None]:
        """Read records in one round trip; one that cannot be read is made a dead letter first."""
        found = records.get_many(self.redis, wanted)
        unreadable = [change for push in found if push and (change := life.quarantined(push, now))]
        if unreadable:
            made = zip(unreadable, self.commit_many(unreadable), strict=True)
            anew = {one.after.key: one.after if is_made else None for one, is_made in made}
            return [anew.get(push.key, push) if push else None for push in found]
        return found

    def commit_many(self, changes: list[Change]) -> list[bool]:
        """Commit changes as `commit_each` does; say which were made."""
        return [result is CommitResult.MADE for result in self.commit_each(changes)]

    def commit_each(self, changes: list[Change], forget: Iterable[str] = ()) -> list[CommitResult]:
        """Commit changes of different pushes in one round trip; say what became of each.

        Asking again with the same changes is safe: one that was made is recognised. `forget` are
        keys to delete on the way. What is wrong with one push fails no other.
        """
        scripts = [_arguments(change, self._commands(change)) for change in changes]
        answers = self._send(scripts, [("DEL", name) for name in forget])
        return [
            self._result(change, answer) for change, answer in zip(changes, answers, strict=True)
        ]

    def remove_many(self, pushes: list[Push]) -> list[Push]:
        """Forget pushes in one round trip; return those that were still as the caller saw them."""
        gone = [(push.key, push, self._removal(push)) for push in pushes]
        made = zip(pushes, self.run_while_as_seen(gone), strict=True)
        return [push for push, is_made in made if is_made]

    def run_while_as_seen(
        self, wanted: Sequence[tuple[PushKey, Push | None, list[Command]]]
    ) -> list[bool]:
        """Run commands for pushes whose records are as the caller saw them; say for which it did.

        For what changes no record. None stands for a record that is not there.
        """
        scripts = [
            ([keys.record(key)], [*_seen(push), codec.to_json(commands)])
            for key, push, commands in wanted
        ]
        return [answer is None for answer in self._send(scripts, [])] if scripts else []

    def end_execution(self, push: Push) -> None:
        """Take an attempt out of RQ's books whose end no commit of the push has written there."""
        pipeline = self.redis.pipeline(transaction=False)
        for command in self.rq.end_execution(push):
            pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
        pipeline.execute()

    def _run(self, change: Change) -> Raw | None:
        """Commit one change; None when it was made, else the record as it is now."""
        arguments = _arguments(change, self._commands(change))
        try:
            present = self._send_one(arguments)
        except ResponseError as error:
            present = self._run_again(change, error)
        return None if _is_made(change, present) else present

    def _send_one(self, arguments: _Arguments) -> Raw | None:
        """Run the script once; raises whatever error it ends with."""
        if not self.replicas.count:
            return cast(Raw | None, self._commit(*arguments))
        (answer,) = self._send([arguments], [])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _send(self, scripts: list[_Arguments], then: list[Command]) -> list[Raw | Exception | None]:
        """Run the script for each in one round trip; return the answers, and some may be errors.

        Raises RedisError when it is the server's, and not that of one push.
        """
        pipeline = self.redis.pipeline(transaction=False)
        for names, words in scripts:
            pipeline.evalsha(self._commit.sha, len(names), *names, *words)
        for command in then:
            pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
        self.replicas.ask(pipeline)
        answers = pipeline.execute(raise_on_error=False)
        errors = [answer for answer in answers if isinstance(answer, Exception)]
        if any(isinstance(error, NoScriptError) for error in errors):
            self.redis.script_load(self._commit.script)
            return self._send(scripts, then)
        if broken := [error for error in errors if not is_of_one_key(error)]:
            raise broken[0]
        self.replicas.check(answers)
        return answers[: len(scripts)]

    def _result(self, change: Change, answer: Raw | Exception | None) -> CommitResult:
        try:
            present = self._run_again(change, answer) if isinstance(answer, Exception) else answer
        except ResponseError as error:
            if not is_of_one_key(error):
                raise
            log_not_committed(change.after.key, error)
            return CommitResult.FAILED
        return CommitResult.MADE if _is_made(change, present) else CommitResult.STALE

    def _run_again(self, change: Change, error: Exception) -> Raw | None:
        """Commit a change that met a key of a wrong type, if that is the push's own: set it aside.

        Raises the error when it is not.
        """
        wrong = "WRONGTYPE" in str(error) and quarantine.of_wrong_type(self.redis, change.after.key)
        if not wrong:
            raise error
        pipeline = self.redis.pipeline(transaction=False)
        for name in wrong:
            for command in quarantine.set_aside(name):
                pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
        pipeline.execute()
        _log.error(
            "push.key_set_aside",
            order_id=change.after.key.order_id,
            account=change.after.key.account,
            keys=wrong,
            kept_as=[keys.unreadable(name) for name in wrong],
            meaning="somebody else wrote these keys; the order goes on without them",
            action="find out who writes to this Redis",
        )
        return self._send_one(_arguments(change, self._commands(change)))

    def _commands(self, change: Change) -> list[Command]:
        """List all that a change writes, in an order in which no part is missed for good.

        What may be done twice comes before what may not, and the record comes last: a script that
        fails on the way has changed nothing for whoever reads it, and is run again.
        """
        if change.before and change.before.unreadable:
            change = replace(change, rebuilds_job=True)
        return [
            *indexes.commands(change),
            *search_index.commands(change, self.retention),
            *indexes.expiry(keys.record(change.after.key), change, self.retention),
            *self.rq.move(change),
            *indexes.proof(change),
            *resend_counts.commands(change),
            *run_counts.commands(change),
            *indexes.timeline(change, self.retention),
            *self.rq.enqueue(change),
            *totals.commands(change),
            *indexes.record(change, self.retention),
        ]

    def _removal(self, push: Push) -> list[Command]:
        return [*self.rq.remove(push), *indexes.removal(push)]


def _seen(push: Push | None) -> list[str]:
    """Name the record as the caller saw it, for the script to compare."""
    if push is None:
        return ["", ""]
    if push.unreadable:
        return ["unreadable", push.unreadable]
    return [str(push.rev), push.execution_id or ""]


def _arguments(change: Change, commands: list[Command]) -> _Arguments:
    return [keys.record(change.after.key)], [*_seen(change.before), codec.to_json(commands)]


def _is_made(change: Change, present: Raw | None) -> bool:
    """Whether a change was made; log when it wrote an unreadable record anew.

    A client that got no answer sends the script again, and then meets its own change: that was
    made, and did not come too late.
    """
    is_made = present is None or _commit_token(present) == change.token
    if is_made and change.before and change.before.unreadable:
        _log_quarantine(change.before)
    return is_made


def _commit_token(present: Raw) -> str:
    fields = records.fields(present) if records.is_hash(present) else {}
    return fields.get(_COMMIT_FIELD, b"").decode(errors="replace")


def _log_quarantine(push: Push) -> None:
    _log.error(
        "record.quarantined",
        order_id=push.key.order_id,
        account=push.key.account,
        error=push.last_error,
        kept_as=keys.unreadable(keys.record(push.key)),
        meaning="the record of this order could not be read and was written anew, as dead; a push "
        "or a replay gives it fresh attempts",
        action="look at what was kept with `klarna-ack show`; find out who wrote it; replay",
    )


def log_not_committed(key: PushKey, error: ResponseError) -> None:
    """Log that what a key of a wrong type holds keeps one push from going on."""
    _log.error(
        "push.not_committed",
        order_id=key.order_id,
        account=key.account,
        error=str(error)[:200],
        meaning="nothing more happens to this order until the cause is gone; others go on",
        action="rename the key of a wrong type, see the runbook; find out who writes to this Redis",
    )
