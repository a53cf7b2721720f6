"""Keeps what was counted so far, a sample each minute: what the console's charts are drawn from.

Every worker looks; the first one of a minute takes the sample. Nothing is done for it when a push
comes in or is acknowledged.
"""

from redis import Redis

from pushes.accounts import clock
from pushes.accounts.clock import Now
from pushes.read import overview
from pushes.store.counted import series
from pushes.store.counted.series import Range


class Samples:
    """The samples that one worker process takes, by Redis's clock unless `now` is given."""

    def __init__(self, redis: Redis, now: Now | None = None) -> None:
        self._redis = redis
        self._now = now
        self._minute = ""  # the last one that is known to have its sample

    def scan(self) -> None:
        """Take the samples that are due. Raises RedisError."""
        at = clock.read(self._redis, self._now)
        minute = Range.HOUR.place(at)
        if minute == self._minute:
            return
        if due := series.due(self._redis, at):
            oldest_since = overview.first_pushed(overview.oldest_deadline(self._redis))
            series.take(self._redis, due, series.present(self._redis, at, oldest_since))
        self._minute = minute
