"""Tells recipients without being a worker, so that it can tell that there is none."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from redis import Redis
from redis.exceptions import RedisError

from notify.notifier import EVERY_S, Notifier
from pushes import log
from pushes.accounts import clock

_log = log.get(__name__)


class Watch:
    """Looks for each recipient, again and again; each has a thread, so none waits for another."""

    def __init__(self, redis: Redis, notifiers: Sequence[Notifier]) -> None:
        self._redis = redis
        self._notifiers = notifiers
        self._failing = False

    def run(self, stopping: threading.Event) -> None:
        """Do it until `stopping` is set, whatever fails meanwhile."""
        _log.info("notify.watching", recipients=len(self._notifiers))
        with ThreadPoolExecutor(len(self._notifiers)) as pool:
            while not stopping.is_set():
                errors = [error for error in pool.map(self._scan, self._notifiers) if error]
                self._tell(errors)
                stopping.wait(EVERY_S)

    def _scan(self, notifier: Notifier) -> Exception | None:
        try:
            notifier.scan(clock.read(self._redis))
        except (RedisError, OSError) as error:
            return error
        return None

    def _tell(self, errors: Sequence[Exception]) -> None:
        """Say once that something fails, and once that it works again."""
        if errors and not self._failing:
            _log.warning(
                "notify.watch_failed",
                error=f"{type(errors[0]).__name__}: {errors[0]}"[:200],
                meaning="nobody is told anything by this process until that is over",
                action="bring Redis back if it is down; this process goes on by itself",
            )
        elif self._failing and not errors:
            _log.info("notify.watch_works_again")
        self._failing = bool(errors)
