"""Klarna's quota, shared by all workers of an account: when each call may be made.

Klarna allows one merchant 200 requests a second live and 50 in the playground (Klarna docs, "Rate
limiting"), and answers 429 beyond that. The schedule is in Redis and goes by Redis's clock, so the
workers' clocks need not agree. `worker/claims.py` reserves the slots of the GETs as it takes jobs,
some milliseconds ahead and no more; here, an acknowledge reserves the next one whatever waits. So
what is under way is finished before more is begun.
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import cast

from redis import Redis
from redis.exceptions import RedisError

from pushes.accounts import clock
from pushes.accounts.clock import Fact, Now
from pushes.accounts.serving import Share
from pushes.store import keys
from pushes.store.connection import read_script
from pushes.store.counted import totals

# A call may be this late for its slot; later, it takes another one.
GRACE_S = 0.02

# Nobody waits longer than this with an attempt begun: its thread is needed by other accounts.
_LONGEST_WAIT_S = 1.0

# A schedule of our own begins when most of the shared one's slots are over.
_ALONE_AFTER_S = 0.5

# The schedule is forgotten after this; a pause that Klarna asks for is at most an hour.
TTL_S = 7200


class QuotaSpentError(Exception):
    """The next slot is `wait_s` seconds away, too far to wait for with an attempt begun."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"the account's quota allows the next call in {wait_s:.1f} s")
        self.wait_s = wait_s


class QuotaUse:
    """Counts the slots that this process used, and how long it waited for them, by account.

    Threads share it. What is counted is in Redis when it is handed on, and lost with the process.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._lock = threading.Lock()
        self._slots: Counter[str] = Counter()
        self._waited: defaultdict[str, timedelta] = defaultdict(timedelta)

    def note(self, account: str, waits_s: Iterable[float]) -> None:
        """Count slots, each with how long it is waited for."""
        waits = list(waits_s)
        with self._lock:
            self._slots[account] += len(waits)
            self._waited[account] += timedelta(seconds=sum(waits))

    def hand_on(self, now: datetime) -> None:
        """Add it to what Redis has. Raises RedisError; then some of it may be lost."""
        with self._lock:
            slots, self._slots = self._slots, Counter()
            waited, self._waited = self._waited, defaultdict(timedelta)
        if slots:
            totals.add_quota(self._redis, slots, waited, now)


class Reservation:
    """One thread that wants a slot, and at last how long it has to wait for it."""

    __slots__ = ("is_done", "turn", "wait_s")

    def __init__(self) -> None:
        self.is_done = False
        self.wait_s = 0.0
        self.turn = threading.Lock()
        self.turn.acquire()


class Reservations:
    """The threads of this process that want a slot of one account: served in one round trip.

    The first of them asks for all that came meanwhile. Each is woken once: with its slot, or to be
    the next that asks.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[Reservation] = []
        self._is_asking = False
        self.alone_at = 0.0

    def __len__(self) -> int:
        """Count those that wait for somebody to ask."""
        return len(self._pending)

    def join(self, mine: Reservation) -> None:
        """Wait until `mine` is done, or is to ask for all."""
        with self._lock:
            self._pending.append(mine)
            if not self._is_asking:
                self._is_asking = True
                return
        mine.turn.acquire()

    def take(self) -> list[Reservation]:
        """Take all that want a slot now."""
        with self._lock:
            taken, self._pending = self._pending, []
        return taken

    def end(self, served: list[Reservation]) -> None:
        """Wake those that are served, and the one that is to ask next."""
        with self._lock:
            following = self._pending[:1]
            self._is_asking = bool(following)
        for one in served:
            one.is_done = True
        for one in (*served, *following):
            one.turn.release()


class Quota:
    """The schedules of the accounts. Threads share it. `now` is Redis's time unless given."""

    def __init__(
        self,
        redis: Redis,
        shares: Mapping[str, Share],
        now: Now | None = None,
        use: QuotaUse | None = None,
    ) -> None:
        self.shares: dict[str, Share] = {}
        self.use = use or QuotaUse(redis)
        self._now = now
        self._reservations: dict[str, Reservations] = {}
        self._reserve = redis.register_script(script("reserve.lua"))
        self.update(shares)

    def update(self, shares: Mapping[str, Share]) -> None:
        """Go by these shares from now on. One that is not among them stays: a call may be due."""
        for account, share in shares.items():
            self.shares[account] = share
            self._reservations.setdefault(account, Reservations())

    def reserve(self, account: str) -> float:
        """Reserve the next slot and return how many seconds away it is.

        While Redis is away, what is under way is finished all the same, on a schedule of this
        process's own: nobody begins anything meanwhile. Raises QuotaSpentError, having reserved
        nothing, when the slot is more than a second away: Klarna asked for a pause, or Redis is
        away and others are in front.
        """
        waiting, mine = self._reservations[account], Reservation()
        waiting.join(mine)
        if not mine.is_done:
            served = waiting.take()
            try:
                self._serve(account, waiting, served)
            finally:
                waiting.end(served)
        if mine.wait_s < 0:
            raise QuotaSpentError(-mine.wait_s)
        return mine.wait_s

    def _serve(self, account: str, waiting: Reservations, served: list[Reservation]) -> None:
        try:
            waits_s = self._ask(account, len(served))
        except RedisError:
            waits_s = [self._alone(account, waiting) for _ in served]
        self.use.note(account, (wait_s for wait_s in waits_s if wait_s >= 0))
        for one, wait_s in zip(served, waits_s, strict=True):
            one.wait_s = wait_s

    def _ask(self, account: str, count: int) -> list[float]:
        share = self.shares[account]
        names = [keys.quota(account), keys.PAUSES]
        asked: list[Fact] = [account, count, share.interval_s, share.burst_s]
        asked += [_LONGEST_WAIT_S, TTL_S]
        waits = self._reserve(names, [*asked, clock.argument(self._now)])
        return [float(wait) for wait in cast(list[bytes], waits)]

    def _alone(self, account: str, waiting: Reservations) -> float:
        now = time.monotonic()
        at = max(waiting.alone_at, now + _ALONE_AFTER_S)
        if at - now > _LONGEST_WAIT_S:
            return now - at
        waiting.alone_at = at + self.shares[account].interval_s
        return at - now


def script(name: str) -> str:
    """Read a script of this folder that reserves slots."""
    return clock.script() + read_script("worker.claiming", "quota.lua", name)
