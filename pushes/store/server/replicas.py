"""Whether what was written stands on replicas, too, before anybody is told that it is stored.

Replication is asynchronous: a failover loses the last moments. Redis says how many replicas have
what a connection has written (WAIT); so the question goes along with the writes, in one pipeline.
"""

from typing import cast

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError, TimeoutError  # noqa: A004 - redis's own name

from pushes.store import keys

# Shorter than the time limit of a web process's commands, and many times what a replica needs.
_WITHIN_MS = 500

# The write that is waited for leaves nothing behind for long.
_PROBE_TTL_S = 60


class NotReplicatedError(TimeoutError):
    """Written, but on too few replicas: asking again is safe, and waits for them again."""


class Replicas:
    """So many replicas must have what was written; with 0, Redis itself is enough."""

    def __init__(self, redis: Redis, count: int = 0) -> None:
        self._redis = redis
        self.count = count

    def ask(self, pipeline: Pipeline) -> None:
        """Wait at the end of a pipeline for what it wrote.

        It writes something itself, so that what an earlier try has written is waited for, too.
        """
        if self.count:
            self._write(pipeline)

    def check(self, answers: list[object]) -> None:
        """Look at the answers to that pipeline. Raises NotReplicatedError.

        Then the idle connections are dropped, too: a master that is cut off from its replicas
        answers on them for ever, while Sentinel has made another one the master.
        """
        if not self.count:
            return
        confirmed = answers[-1]
        if isinstance(confirmed, RedisError):
            raise confirmed
        if cast(int, confirmed) < self.count:
            self._redis.connection_pool.disconnect(inuse_connections=False)
            raise NotReplicatedError(
                f"{confirmed} of {self.count} replicas have it after {_WITHIN_MS} ms"
            )

    def confirm(self) -> None:
        """Write something, and wait for it as for any change. Raises RedisError."""
        pipeline = self._redis.pipeline(transaction=False)
        self._write(pipeline)
        self.check(pipeline.execute())

    def _write(self, pipeline: Pipeline) -> None:
        pipeline.set(keys.WRITE_PROBE, "1", ex=_PROBE_TTL_S)
        if self.count:
            pipeline.wait(self.count, _WITHIN_MS)
