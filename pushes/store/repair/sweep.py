"""Goes round all that stands in Redis in small steps, and has it held against the records.

SCAN finds the records and the indexes, ZSCAN goes through each index. What waits for an attempt is
looked at in every step. Redis answers others in between, and nothing is ever read as a whole.
"""

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import cast

from redis import Redis
from redis.exceptions import ResponseError

from pushes.model import State
from pushes.store import counters, keys
from pushes.store.connection import is_of_one_key
from pushes.store.ledger import Ledger
from pushes.store.repair import shapes
from pushes.store.repair.agreement import Agreement
from pushes.store.repair.differences import Difference, DifferenceKind

# What one step looks at, at most: some milliseconds of Redis's time.
_KEYS = 1000
_MEMBERS = 500

# Of the orders that wait, in every step: a backlog must not cost more than its own work.
_WAITING_MEMBERS = 100

# So many at least are counted for a piece, however few it was, so that a step is over soon.
_LEAST = 25

_RECORD = f"{keys.PREFIX}:push:"
_WAITING = tuple(keys.index(state) for state in (State.QUEUED, State.RETRYING, State.HELD))


class _Walk:
    """Goes through the members of some sorted sets, piece by piece."""

    def __init__(self, redis: Redis, piece: int) -> None:
        self._redis = redis
        self._piece = piece
        self._names: deque[str] = deque()
        self._at = self._next_at = 0

    @property
    def is_over(self) -> bool:
        return not self._names

    def add(self, names: Iterable[str]) -> None:
        """Go through these as well."""
        self._names.extend(name for name in names if name not in self._names)

    def read(self) -> tuple[str, list[bytes]]:
        """Read the next piece: of which set, and its members. The same until it is done."""
        name = self._names[0]
        try:
            self._next_at, found = self._redis.zscan(name, self._at, count=self._piece)
        except ResponseError as error:  # a key of a wrong type, which is looked at by itself
            if not is_of_one_key(error):
                raise
            self._next_at, found = 0, []
        return name, [member for member, _ in cast(list[tuple[bytes, float]], found)]

    def done(self) -> None:
        """Go on behind the piece that was read."""
        self._at = self._next_at
        if not self._at:
            self._names.popleft()


class Sweep:
    """One sweep, round after round. It remembers where it is. Not for several threads at a time."""

    def __init__(self, ledger: Ledger, *, dry_run: bool = False) -> None:
        self._redis = ledger.redis
        self._agreement = Agreement(ledger, dry_run=dry_run)
        self._dry_run = dry_run
        self._of_rq = ledger.rq.sorted_sets
        self._types_of_rq = ledger.rq.types
        self._keys_at: int | None = None
        self._places = _Walk(self._redis, _MEMBERS)
        self._waiting = _Walk(self._redis, _WAITING_MEMBERS)
        self._begin_round()

    @property
    def is_round_over(self) -> bool:
        """Whether everything has been looked at since the round began."""
        return self._keys_at is None and self._places.is_over

    @property
    def suspects(self) -> int:
        """How many jobs stood nowhere at the last look."""
        return self._agreement.suspects

    def step(self, now: datetime) -> list[Difference]:
        """Look at the next pieces, and mend; return what was found.

        Raises RedisError; then the same pieces are looked at again with the next step.
        """
        if self.is_round_over:
            self._begin_round()
        found = [
            *self._agreement.check_types(self._types_of_rq),
            *self._agreement.believe_suspects(now),
            *self._look_at_waiting(now),
        ]
        left = _KEYS
        while left > 0 and not self.is_round_over:
            look = self._look_at_keys if self._places.is_over else self._look_at_place
            size, differs = look(now)
            found += differs
            left -= max(size, _LEAST)
        self._count(found)
        return found

    def finish(self, now: datetime) -> list[Difference]:
        """Mend what the last step only suspected; return what was."""
        found = self._agreement.believe_suspects(now)
        self._count(found)
        return found

    def _begin_round(self) -> None:
        self._keys_at = 0
        self._places.add(self._of_rq)

    def _look_at_waiting(self, now: datetime) -> list[Difference]:
        """Look at the next of the orders that wait: at all of them, while they are few."""
        self._waiting.add(_WAITING)
        found: list[Difference] = []
        left = _WAITING_MEMBERS
        while left > 0 and not self._waiting.is_over:
            _, members = self._waiting.read()
            found += self._agreement.check_records(members, now)
            self._waiting.done()
            left -= max(len(members), _LEAST)
        return found

    def _look_at_place(self, now: datetime) -> tuple[int, list[Difference]]:
        place, members = self._places.read()
        found = self._agreement.check_members(place, members, now)
        self._places.done()
        return len(members), found

    def _look_at_keys(self, now: datetime) -> tuple[int, list[Difference]]:
        next_at, raw = self._redis.scan(self._keys_at or 0, match=f"{keys.PREFIX}:*", count=_KEYS)
        names = [name.decode(errors="replace") for name in cast(list[bytes], raw)]
        types = {name: kind for name in names if (kind := shapes.type_of(name))}
        pushes = [name.removeprefix(_RECORD).encode() for name in names if name.startswith(_RECORD)]
        found = [
            *self._agreement.check_types(types),
            *self._agreement.check_accounts(types),
            *self._agreement.check_records(pushes, now),
        ]
        self._places.add(filter(shapes.is_index, names))
        self._keys_at = next_at or None
        return len(names), found

    def _count(self, found: list[Difference]) -> None:
        if self._dry_run:
            return
        orphans = sum(one.kind is DifferenceKind.ORPHAN for one in found)
        if orphans:
            counters.add(self._redis, "orphan_requeued", orphans)
        if len(found) > orphans:
            counters.add(self._redis, "index_repaired", len(found) - orphans)
