"""The thread that settles attempts: what ended together is judged and committed together."""

import time
from queue import SimpleQueue

from redis.exceptions import RedisError

from pushes import log
from worker.attempt.account_health import AccountWatch
from worker.attempt.attempt import Ending
from worker.attempt.attempts import Attempts
from worker.redis_health import RedisHealth

_log = log.get(__name__)

# One round trip settles up to this many attempts; with more, the first would wait.
_BATCH = 32

# How long to wait for a Redis that is away, each time.
_AGAIN_AFTER_S = 1.0


class Settling:
    """Settles what comes out of `ended`; while Redis is away, it waits for it and loses nothing."""

    def __init__(
        self,
        ended: SimpleQueue[Ending],
        attempts: Attempts,
        accounts: AccountWatch,
        redis: RedisHealth,
    ) -> None:
        self._ended = ended
        self._attempts = attempts
        self._accounts = accounts
        self._redis = redis

    def settle(self) -> int:
        """Wait for attempts that ended, commit how they did, and return how many they were."""
        ended = self._take()
        judged: list[Ending] = []
        while True:
            try:
                judged = judged or self._accounts.judge(ended)
                self._attempts.settle(judged)
            except RedisError as error:
                self._redis.note_away(error)
                time.sleep(_AGAIN_AFTER_S)
            except Exception as error:  # noqa: BLE001 - a thread that dies would settle nothing more
                _not_settled(ended, error)
                self._attempts.forget(ended)
                return len(ended)
            else:
                return len(ended)

    def _take(self) -> list[Ending]:
        ended = [self._ended.get()]
        while len(ended) < _BATCH and not self._ended.empty():
            ended.append(self._ended.get())
        return ended


def _not_settled(endings: list[Ending], error: Exception) -> None:
    _log.error(
        "attempt.not_settled",
        order_ids=[ending.attempt.push.key.order_id for ending in endings],
        meaning="these pushes are tried again when their leases lapse; dead the third time",
        action="report this with the traceback",
        exc_info=error,
    )
