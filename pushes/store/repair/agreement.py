"""Holds indexes, RQ's registries and jobs against records, both ways, and mends what differs.

Nothing is changed whose record has moved on since it was read. A job that stands nowhere is
believed the second time it is missed, for another may be moving it at this moment.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import cast

from pushes import life
from pushes.model import Change, Lane, Push, PushKey, State
from pushes.store import indexes, keys, records, rq_job
from pushes.store.ledger import Ledger
from pushes.store.repair import quarantine, shapes
from pushes.store.repair.differences import Difference, DifferenceKind
from pushes.store.rq_mirror import Command

# RQ's lists are short; a longer one is somebody else's doing, and is not read as a whole either.
_LISTED = 2000

# No more is suspected at a time; what is left over is met again.
_SUSPECTS = 1000

# The lists of accounts that one with such a key has to stand in: in any of them, else the last.
_LISTS_OF_ACCOUNTS = {
    "ready": (keys.WORK, keys.UNSERVED, keys.WORK_ARRIVED),
    "held": (keys.HELD_ACCOUNTS,),
    "hold": (keys.HOLDS,),
}

_Phantom = tuple[bytes, PushKey, Push | None]


@dataclass(frozen=True, slots=True)
class _Queue:
    """Which of some orders have a job that waits for a worker, or that one has just taken."""

    waiting: frozenset[PushKey]
    popped: frozenset[PushKey]

    def has(self, key: PushKey) -> bool:
        return key in self.waiting or key in self.popped


@dataclass(frozen=True, slots=True)
class _Sight:
    """In which of its indexes an order does not stand, and whether its job is where it should."""

    push: Push
    missing: tuple[str, ...]
    has_job: bool


class Agreement:
    """Looks whether what stands in Redis agrees, and mends it, unless it is a dry run."""

    def __init__(self, ledger: Ledger, *, dry_run: bool) -> None:
        self._ledger = ledger
        self._redis = ledger.redis
        self._dry_run = dry_run
        self._suspects: dict[PushKey, int] = {}  # with the revision at which the job was missed

    @property
    def suspects(self) -> int:
        """How many orders are suspected to have no job."""
        return len(self._suspects)

    def check_members(self, place: str, members: list[bytes], now: datetime) -> list[Difference]:
        """Take out of an index, ours or RQ's, what does not belong there."""
        keyed = {member: keys.find_key(member.partition(b":")[0]) for member in members}
        foreign = [member for member, key in keyed.items() if key is None]
        if foreign and not self._dry_run:
            self._redis.zrem(place, *foreign)
        ours = {member: key for member, key in keyed.items() if key}
        pushes, unreadable = self._read(ours.values(), now)
        phantoms = [
            (member, key, pushes[key])
            for member, key in ours.items()
            if not self._belongs(place, member, pushes[key])
        ]
        found = [
            Difference(DifferenceKind.FOREIGN, f"{place}: {member!r:.80}") for member in foreign
        ]
        return [*found, *unreadable, *self._take_out(place, phantoms)]

    def check_records(self, members: list[bytes], now: datetime) -> list[Difference]:
        """Put orders into the indexes that their records name; suspect those without a job."""
        wanted = [key for member in members if (key := keys.find_key(member))]
        pushes, unreadable = self._read(wanted, now)
        sights = self._look_at(pushes.values())
        for sight in sights:
            if not sight.has_job and len(self._suspects) < _SUSPECTS:
                self._suspects[sight.push.key] = sight.push.rev
        listed = {(f"{keys.PREFIX}:", key.account) for key in wanted}
        return [*unreadable, *self._put_in(sights), *self._list_accounts(listed)]

    def believe_suspects(self, now: datetime) -> list[Difference]:
        """Make the jobs anew that stood nowhere at the last look, and still do."""
        suspects, self._suspects = self._suspects, {}
        pushes, unreadable = self._read(suspects, now)
        same = [push for key, push in pushes.items() if push and push.rev == suspects[key]]
        changes = [
            change
            for sight in self._look_at(same)
            if not sight.has_job
            and (change := life.requeued(sight.push, now) or life.rebuilt(sight.push))
        ]
        made = [True] * len(changes) if self._dry_run else self._ledger.commit_many(changes)
        mended = [change for change, is_made in zip(changes, made, strict=True) if is_made]
        return [*unreadable, *map(_without_job, mended)]

    def check_types(self, types: dict[str, str]) -> list[Difference]:
        """Set keys aside that are of another type than they should be."""
        pipeline = self._redis.pipeline(transaction=False)
        for name in types:
            pipeline.type(name)
        seen = zip(types.items(), cast(list[bytes], pipeline.execute()), strict=True)
        wrong = [name for (name, kind), is_ in seen if is_ not in {kind.encode(), b"none"}]
        if wrong and not self._dry_run:
            for name in wrong:
                for command in quarantine.set_aside(name):
                    pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
            pipeline.execute()
        return [Difference(DifferenceKind.WRONG_TYPE, name) for name in wrong]

    def check_accounts(self, names: Iterable[str]) -> list[Difference]:
        """Put accounts into the lists where it is looked for those that have such keys."""
        return self._list_accounts(
            {
                (name, shapes.account_of(name))
                for name in names
                if shapes.family_of(name) in _LISTS_OF_ACCOUNTS
            }
        )

    def _read(
        self, wanted: Iterable[PushKey], now: datetime
    ) -> tuple[dict[PushKey, Push | None], list[Difference]]:
        """Read records; quarantine those that are unreadable, and say which."""
        wanted = list(dict.fromkeys(wanted))
        found = records.get_many(self._redis, wanted)
        unreadable = [push.key for push in found if push and push.unreadable]
        if unreadable and not self._dry_run:
            found = self._ledger.read_many(wanted, now)
        said = [Difference(DifferenceKind.UNREADABLE, keys.record(key), key) for key in unreadable]
        return dict(zip(wanted, found, strict=True)), said

    def _queue(self, wanted: list[PushKey]) -> _Queue:
        if not wanted:
            return _Queue(frozenset(), frozenset())
        rq = self._ledger.rq
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.lrange(rq.queue.key, 0, _LISTED)
        pipeline.lrange(rq.queue.intermediate_queue_key, 0, _LISTED)
        for key in wanted:
            pipeline.zscore(rq.deferred, keys.job_id(key))
        listed, popped, *scores = pipeline.execute(raise_on_error=False)
        beyond = {key for key, score in zip(wanted, scores, strict=True) if score is not None}
        return _Queue(frozenset(_keys(listed) | beyond), frozenset(_keys(popped)))

    def _belongs(self, place: str, member: bytes, push: Push | None) -> bool:
        if push is None or push.unreadable:
            return push is not None  # one that is unreadable is looked at for itself
        rq = self._ledger.rq
        if push.state is State.RUNNING and place == rq.started:
            return bool(member == rq.execution(push).composite_key.encode())
        return place in self._may_stand_in(push)

    def _may_stand_in(self, push: Push) -> set[str]:
        """Name every sorted set in which a push may stand; it need not stand in all."""
        rq, found = self._ledger.rq, set(indexes.places(push))
        if push.state is State.QUEUED:
            found |= {rq.deferred, *self._job_places(push)}
        elif push.state.is_settled:
            found.add(rq.finished)
        elif registry := rq.registry(push):
            found.add(registry)
        if push.is_unacknowledged:
            found.add(keys.RESENDS)
        return found

    def _take_out(self, place: str, phantoms: list[_Phantom]) -> list[Difference]:
        if not phantoms:
            return []
        pipeline = self._redis.pipeline(transaction=False)
        for member, _, _ in phantoms:
            pipeline.zscore(place, cast(str, member))
        scores = cast(list[float | None], pipeline.execute())
        queue = self._queue([key for _, key, _ in phantoms])
        # A job that a worker will take is for that to judge: without a record it may be an order,
        # which is then taken in anew, and somebody may have queued it again.
        wrong = [
            (member, key, push)
            for (member, key, push), score in zip(phantoms, scores, strict=True)
            if score is not None
            and not (queue.has(key) and (push is None or shapes.is_ready(place)))
        ]
        done = self._run(
            [(key, push, [("ZREM", place, member.decode())]) for member, key, push in wrong]
        )
        return [
            Difference(DifferenceKind.PHANTOM, place, key)
            for (_, key, _), is_done in zip(wrong, done, strict=True)
            if is_done
        ]

    def _look_at(self, pushes: Iterable[Push | None]) -> list[_Sight]:
        """Look where orders stand, and where their jobs do."""
        readable = [push for push in pushes if push and not push.unreadable]
        queue = self._queue([push.key for push in readable])
        pipeline = self._redis.pipeline(transaction=False)
        for push in readable:
            for place in (*indexes.places(push), *self._job_places(push)):
                pipeline.zscore(place, keys.job_id(push.key))
            pipeline.exists(rq_job.key(push))
        # An error, as of a key of a wrong type, is no sign that something is missing there.
        answers = iter(cast(list[object], pipeline.execute(raise_on_error=False)))
        sights: list[_Sight] = []
        for push in readable:
            places = tuple(indexes.places(push))
            scores = zip(places, islice(answers, len(places)), strict=True)
            missing = tuple(place for place, score in scores if score is None)
            in_order = [one is not None for one in islice(answers, len(self._job_places(push)))]
            has_job = bool(next(answers)) and _stands(push, queue, in_order)
            sights.append(_Sight(push, missing, has_job or not _needs_job(push)))
        return sights

    def _job_places(self, push: Push) -> list[str]:
        """Name the sorted sets in which a worker, or RQ, looks for the job of a push."""
        if push.state is State.QUEUED:
            return [keys.ready(push.key.account, lane) for lane in Lane]
        registry = self._ledger.rq.registry(push)
        return [registry] if registry else []

    def _put_in(self, sights: list[_Sight]) -> list[Difference]:
        missing = [(sight.push, place) for sight in sights for place in sight.missing]
        wanted: list[tuple[PushKey, Push | None, list[Command]]] = []
        for push, place in missing:
            score = indexes.places(push)[place]
            wanted.append((push.key, push, indexes.standing(push, place, score)))
        return [
            Difference(DifferenceKind.MISSING, place, push.key)
            for (push, place), is_done in zip(missing, self._run(wanted), strict=True)
            if is_done
        ]

    def _list_accounts(self, wanted: set[tuple[str, str]]) -> list[Difference]:
        """Put accounts into their lists, unless the key for which they should be there is gone."""
        pipeline = self._redis.pipeline(transaction=True)
        asked = sorted(wanted)
        for name, account in asked:
            for place in _lists_of(name):
                if shapes.type_of(place) == "set":
                    pipeline.sismember(place, account)
                else:
                    pipeline.zscore(place, account)
            pipeline.exists(name)
        answers = iter(cast(list[object], pipeline.execute(raise_on_error=False)))
        found: list[Difference] = []
        for name, account in asked:
            lists = _lists_of(name)
            seen = list(islice(answers, len(lists)))
            is_listed = any(one is not None and one != 0 for one in seen)
            is_there = bool(next(answers)) or lists == (keys.ACCOUNTS,)
            if is_there and not is_listed:
                found.append(Difference(DifferenceKind.FORGOTTEN, f"{lists[-1]} ({account})"))
                if not self._dry_run:
                    self._redis.sadd(lists[-1], account)
        return found

    def _run(self, wanted: list[tuple[PushKey, Push | None, list[Command]]]) -> list[bool]:
        return [True] * len(wanted) if self._dry_run else self._ledger.run_while_as_seen(wanted)


def _keys(job_ids: list[bytes] | Exception) -> set[PushKey]:
    if isinstance(job_ids, Exception):  # a key of a wrong type
        return set()
    return {key for job_id in job_ids if (key := keys.find_key(job_id))}


def _lists_of(name: str) -> tuple[str, ...]:
    return _LISTS_OF_ACCOUNTS.get(shapes.family_of(name), (keys.ACCOUNTS,))


def _needs_job(push: Push) -> bool:
    return not (push.state is State.RUNNING or push.state.is_settled or push.discarded)


def _stands(push: Push, queue: _Queue, in_order: list[bool]) -> bool:
    """Whether the job of a push is where a worker finds it, or where somebody has queued it."""
    if push.state is not State.QUEUED:
        return all(in_order) or queue.has(push.key)
    return push.key in queue.popped or (push.key in queue.waiting and any(in_order))


def _without_job(change: Change) -> Difference:
    is_dead = change.after.state is State.DEAD
    kind = DifferenceKind.JOBLESS if is_dead else DifferenceKind.ORPHAN
    return Difference(kind, rq_job.key(change.after), change.after.key)
