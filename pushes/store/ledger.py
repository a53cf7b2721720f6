"""The ledger: the one step in which a push may change.

A change writes the record, its timeline, the indexes and the RQ job together, in one script that
runs only while the record is as the caller saw it. No change is lost to another process, and what
fails on the way leaves the record as it was, so that the same change is made again.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import cast

from redis import Redis

from pushes import life
from pushes.life import KLARNA, Origin
from pushes.model import Change, Push, PushKey
from pushes.store import codec, indexes, keys, records
from pushes.store.connection import read_script
from pushes.store.records import Raw
from pushes.store.rq_mirror import RqMirror

Step = Callable[[Push], Change | None]


class Ledger:
    """Changes the records of all pushes on one Redis. Threads may share it.

    Every method raises redis.exceptions.RedisError when Redis does not answer or refuses; then
    nothing is known to be written, and asking again is safe.
    """

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
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
                life.pushed_again(seen, now, origin)
                if seen
                else life.first_pushed(key, now, origin)
            )
        return change.after

    def advance(self, key: PushKey, step: Step, seen: Push | None = None) -> Change | None:
        """Take a step in the life of a push: commit what `step` makes of its record.

        `seen` spares reading the record first; when it is stale, `step` is called again with the
        present one. Returns what was committed; None when there is no such push or `step` wanted
        no change. Raises UnreadableRecordError.
        """
        push = seen or records.get(self.redis, key)
        while push is not None and (change := step(push)) is not None:
            present = self._run(change)
            if present is None:
                return change
            push = records.read(key, present)
        return None

    def commit_many(self, changes: list[Change], forget: Iterable[str] = ()) -> list[bool]:
        """Commit changes of different pushes in one round trip; say which were still current.

        Asking again with the same changes is safe: one that was made is recognised. `forget` are
        keys to delete on the way.
        """
        pipeline = self.redis.pipeline(transaction=False)
        for change in changes:
            self._commit(*_arguments(change, self._commands(change)), client=pipeline)
        for name in forget:
            pipeline.delete(name)
        answers = pipeline.execute()[: len(changes)]
        pairs = zip(changes, answers, strict=True)
        return [present is None or _is_own(change, present) for change, present in pairs]

    def remove_many(self, pushes: list[Push]) -> list[Push]:
        """Forget pushes in one round trip; return those that were still as the caller saw them."""
        pipeline = self.redis.pipeline(transaction=False)
        for push in pushes:
            commands = codec.to_json([*self.rq.remove(push), *indexes.removal(push)])
            words = [str(push.rev), push.execution_id or "", commands]
            self._commit([keys.record(push.key)], words, client=pipeline)
        answers = pipeline.execute()
        return [push for push, present in zip(pushes, answers, strict=True) if present is None]

    def _run(self, change: Change) -> Raw | None:
        """Commit one change; None when it was made, else the record as it is now."""
        present = cast(Raw | None, self._commit(*_arguments(change, self._commands(change))))
        return None if present is None or _is_own(change, present) else present

    def _commands(self, change: Change) -> str:
        """Write all that a change does as the script takes it, the record last."""
        return codec.to_json([*self.rq.move(change), *indexes.commands(change)])


def _arguments(change: Change, commands: str) -> tuple[list[str], list[str]]:
    before = change.before
    seen = [str(before.rev), before.execution_id or ""] if before else ["", ""]
    return [keys.record(change.after.key)], [*seen, commands]


def _is_own(change: Change, present: Raw) -> bool:
    """Tell a change that was made, but whose answer got lost, from one that came too late.

    A client that got no answer sends the script again, and then meets its own change.
    """
    return records.texts(present).get(indexes.COMMIT_FIELD) == change.token
