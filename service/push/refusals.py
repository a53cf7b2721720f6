"""Says what was refused: counts for everybody in Redis, and a line in the log now and then.

A flood of refused pushes must not become a flood of commands: they are counted here, and handed on
a few times a minute.
"""

import threading
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime

from redis import Redis
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException

from pushes import log, policy
from pushes.read import alarms
from pushes.read.alarms import Alarm
from pushes.store.counted import refusals
from pushes.store.counted.refusals import Refusal, RefusalReason
from service.soon import Soon

_log = log.get(__name__)

# What was refused is in Redis so much later.
_GATHERED_S = 2.0

# The log tells of it this often.
_TOLD_EVERY_S = 60.0

# So many orders are named in a line: enough to see which they are, and to push them by hand.
_NAMED = 20


class RefusedPushError(Exception):
    """A push is not taken: why, and what is answered."""

    def __init__(self, reason: RefusalReason, answer: HTTPException) -> None:
        super().__init__(reason)
        self.reason = reason
        self.answer = answer


class Refusals:
    """Shared by the threads of one process. Noting never fails and never waits."""

    def __init__(self, redis: Redis, gathered_s: float = _GATHERED_S) -> None:
        self._redis = redis
        self._counted: Counter[Refusal] = Counter()
        self._untold: Counter[Refusal] = Counter()
        self._orders: dict[str, None] = {}
        self._told_at = -_TOLD_EVERY_S
        self._soon = Soon(self._hand_on, gathered_s)
        self._lock = threading.Lock()

    def note(self, account: str | None, reason: RefusalReason, order_id: str | None = None) -> None:
        """Count a refused push. `account` is one that is configured, or None."""
        with self._lock:
            self._counted[account, reason] += 1
            self._untold[account, reason] += 1
            if order_id and len(self._orders) < _NAMED:
                self._orders[order_id] = None
        self._soon.ask()

    def close(self) -> None:
        """Hand on what is counted, at the end of the process."""
        self._soon.close()

    def _hand_on(self) -> None:
        with self._lock:
            counted, self._counted = self._counted, Counter()
        try:
            self._count(counted)
        except RedisError:  # the next refusal brings them again
            with self._lock:
                self._counted += counted
        self._tell()

    def _count(self, counted: Counter[Refusal]) -> None:
        now = datetime.now(UTC)
        lately = refusals.add(self._redis, counted, now)
        often = {name: n for name, n in lately.items() if n >= policy.WRONG_TOKENS_IN_AN_HOUR}
        alarm = Alarm.PUSHES_REFUSED
        if often and alarms.set_off(self._redis, alarm, now):
            _log.error(
                "pushes.refused",
                accounts=often,
                meaning=alarm.meaning,
                action=alarm.action,
            )

    def _tell(self) -> None:
        with self._lock:
            if not self._untold or time.monotonic() - self._told_at < _TOLD_EVERY_S:
                return
            untold, self._untold = self._untold, Counter()
            orders, self._orders = self._orders, {}
            self._told_at = time.monotonic()
        refused: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (account, reason), count in untold.items():
            refused[account or "(none)"][str(reason)] = count
        _log.warning(
            "push.refused",
            refused=dict(refused),
            order_ids=list(orders),
            meaning="these pushes were refused and not stored; Klarna repeats each for 48 hours",
            action="; ".join(sorted({reason.remedy for _, reason in untold})),
        )
