"""How long the web processes take for requests, counted in Redis for all of them together."""

import threading
import time
from collections import Counter

from flask import Flask, Response, g, request
from redis import Redis
from redis.exceptions import RedisError

from pushes.store.counted import totals
from service.soon import Soon

# What was answered is in Redis so much later.
_GATHERED_S = 2.0

# Asked for every few seconds, for ever: they would hide everything else.
_PROBES = frozenset({"health.alive", "health.ready", "metrics.metrics"})


class RequestTimes:
    """Shared by the threads of one process. Noting never fails and never waits."""

    def __init__(self, redis: Redis, gathered_s: float = _GATHERED_S) -> None:
        self._redis = redis
        self._counted: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._soon = Soon(self._hand_on, gathered_s)

    def watch(self, app: Flask) -> None:
        """Time every request of an application, but those of probes."""
        app.before_request(_begin)
        app.after_request(self._end)

    def close(self) -> None:
        """Hand on what is counted, at the end of the process."""
        self._soon.close()

    def _end(self, response: Response) -> Response:
        endpoint = request.endpoint or "none"
        if endpoint not in _PROBES:
            took_s = time.perf_counter() - g.began
            added = totals.REQUESTS.added(took_s, endpoint, str(response.status_code))
            with self._lock:
                for field, count in added:
                    self._counted[field] += count
            self._soon.ask()
        return response

    def _hand_on(self) -> None:
        with self._lock:
            counted, self._counted = self._counted, Counter()
        try:
            totals.add(self._redis, counted)
        except RedisError:  # the next request brings them again
            with self._lock:
                self._counted += counted


def _begin() -> None:
    g.began = time.perf_counter()
