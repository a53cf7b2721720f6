"""The pushes of an account that was held: queued again once it is served, in order and in portions.

Every worker runs it. The queue is kept short on purpose: what waits here waits in the order of the
deadlines, and a fresh push does not stand behind it.
"""

from datetime import datetime
from typing import cast

from pushes import life, log, policy
from pushes.model import Lane
from pushes.store import indexes, keys
from pushes.store.ledger import Ledger
from worker.claiming.quota import Quota, Share

_log = log.get(__name__)

# An order takes two calls of the quota: GET and acknowledge.
_CALLS_AN_ORDER = 2

# One look queues so many at most, so that it is over soon.
_BATCH = 500


class HeldBacklog:
    """The held pushes of the accounts that this worker serves."""

    def __init__(self, ledger: Ledger, quota: Quota) -> None:
        self._ledger = ledger
        self._shares = quota.shares

    def release(self, now: datetime) -> int:
        """Queue as many as can be attempted soon; return how many this call queued."""
        pipeline = self._ledger.redis.pipeline(transaction=False)
        for account in self._shares:
            pipeline.zcard(keys.held(account))
            pipeline.exists(keys.hold(account))
            pipeline.zcard(keys.ready(account, Lane.BACKLOG))
        answers = pipeline.execute()
        found = zip(self._shares.values(), answers[::3], answers[1::3], answers[2::3], strict=True)
        return sum(
            self._release(share, queued, now)
            for share, waiting, is_held, queued in found
            if waiting and not is_held
        )

    def _release(self, share: Share, queued: int, now: datetime) -> int:
        ahead = policy.RELEASED_AHEAD.total_seconds() / (share.interval_s * _CALLS_AN_ORDER)
        wanted = min(int(ahead) + 1 - queued, _BATCH)
        if wanted <= 0:
            return 0
        first = cast(list[bytes], self._ledger.redis.zrange(keys.held(share.name), 0, wanted - 1))
        pushes = self._ledger.read_many(
            [key for name in first if (key := keys.find_key(name))], now
        )
        changes = [
            change for push in pushes if push and (change := life.resumed(push, now)) is not None
        ]
        return sum(self._ledger.commit_many(changes))

    def log_unserved(self) -> None:
        """Log the accounts whose pushes wait for a worker that has their credentials."""
        for account in set(indexes.accounts(self._ledger.redis)) - self._shares.keys():
            pipeline = self._ledger.redis.pipeline(transaction=False)
            for lane in Lane:
                pipeline.zcard(keys.ready(account, lane))
            if waiting := sum(pipeline.execute()):
                _log.error(
                    "account.not_configured",
                    account=account,
                    waiting=waiting,
                    meaning="this worker has no credentials for the account and leaves its orders "
                    "to others; if there are none, they are not acknowledged",
                    action="add the account to the ACCOUNTS_FILE of the workers",
                )
