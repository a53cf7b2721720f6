"""Answers at once while Redis is known not to answer, instead of letting every push wait for it.

Without it, pushes that come together queue behind a few threads that wait for a frozen Redis, and
the last of them would wait longer than Klarna does (5 s).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import TimeoutError as RedisTimeoutError

# Long enough for all that came together; so short that hardly a push is refused once Redis is back.
_OPEN_S = 0.5


class Breaker:
    """Shared by the threads of one process; a stale reading only costs one more wait."""

    def __init__(self) -> None:
        self._open_until = 0.0

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Run what asks Redis. Raises redis's TimeoutError at once just after another time-out.

        A refused connection answers by itself and opens nothing.
        """
        if time.monotonic() < self._open_until:
            raise RedisTimeoutError("Redis did not answer a moment ago")
        try:
            yield
        except RedisTimeoutError:
            self._open_until = time.monotonic() + _OPEN_S
            raise
