"""The pushes of an account that was held: queued again once it is served, in order and in portions.

Every worker runs it. The queue is kept short on purpose: what waits here waits in the order of the
deadlines, and a fresh push does not stand behind it.
"""

from datetime import datetime
from typing import cast

from pushes import life, policy
from pushes.accounts.holds import Holds
from pushes.accounts.serving import Serving, Share
from pushes.model import Lane
from pushes.store import keys
from pushes.store.connection import read_script
from pushes.store.ledger import Ledger

# An order takes two calls of the quota: GET and acknowledge.
_CALLS_AN_ORDER = 2

# One look queues so many orders at most, of so many accounts, so that it is over soon.
_BATCH = 500
_ACCOUNTS = 100


class HeldBacklog:
    """The held pushes of the accounts that this worker serves."""

    def __init__(self, ledger: Ledger, serving: Serving) -> None:
        self._ledger = ledger
        self._serving = serving
        self._looks = 0
        self._find = ledger.redis.register_script(read_script("worker.periodic", "release.lua"))
        self._holds = Holds(ledger.redis)

    def release(self, now: datetime) -> int:
        """Queue as many as can be attempted soon; return how many this call queued."""
        released = 0
        for name, queued in self._to_release():
            share = self._serving.share_of(name)
            if share and released < _BATCH:
                released += self._release(share, queued, now)
        return released

    def _to_release(self) -> list[tuple[str, int]]:
        self._looks += _ACCOUNTS
        names = [keys.HELD_ACCOUNTS, keys.HOLDS, self._serving.key]
        facts: list[str | int] = [keys.PREFIX, Lane.BACKLOG, _ACCOUNTS, self._looks]
        raw = cast(list[tuple[bytes, int]], self._find(names, facts))
        return [(name.decode(), queued) for name, queued in raw]

    def _release(self, share: Share, queued: int, now: datetime) -> int:
        ahead = policy.RELEASED_AHEAD.total_seconds() / (share.interval_s * _CALLS_AN_ORDER)
        wanted = min(int(ahead) + 1 - queued, _BATCH)
        if wanted <= 0:
            return 0
        first = cast(list[bytes], self._ledger.redis.zrange(keys.held(share.name), 0, wanted - 1))
        pushes = self._ledger.read_many(
            [key for name in first if (key := keys.find_key(name))], now
        )
        who = self._holds.resumed_by(share.name)
        changes = [
            change
            for push in pushes
            if push and (change := life.resumed(push, now, by=who.by, why=who.why)) is not None
        ]
        return sum(self._ledger.commit_many(changes))
