"""How everything was a moment ago: one reading for all who look, while reading it takes long.

With many dead letters and accounts an overview is read in tenths of a second. Every open page asks
for one every few seconds, in a process that may also take pushes.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic

from redis.exceptions import RedisError

from pushes.read.overview import Overview
from service.soon import Soon

# What is read faster than this is read for each.
_QUICK_S = 0.05

# So much of the time at most is spent on reading it.
_SHARE = 0.05

# So long after that it is still shown, while the next one is read: nobody waits for it.
_STILL_SHOWN_S = 5.0


class RecentOverview:
    """Threads share it. `read` raises RedisError as what it calls does."""

    def __init__(
        self,
        read: Callable[[], Overview],
        clock: Callable[[], float] = monotonic,
        soon: Callable[[Callable[[], None], float], Soon] = Soon,
    ) -> None:
        self._read = read
        self._clock = clock
        self._reading = threading.Lock()
        self._again = soon(self._read_again, 0.0)
        self._seen: Overview | None = None
        self._began_at = 0.0
        self._error: RedisError | None = None
        self._good_until = self._shown_until = 0.0
        self._changed_at = datetime.min.replace(tzinfo=UTC)

    def read(self, since: datetime | None = None) -> Overview:
        """Return how everything is, or was when it was read last; `at` says when that was.

        It was read after `since`, when who asks has changed something, here or elsewhere.
        """
        since = max(self._changed_at, since or self._changed_at)
        asked_at = self._clock()
        if (seen := self._shown(since)) is not None:
            return seen
        with self._reading:
            if self._began_at >= asked_at:  # somebody else has read it
                if self._error:
                    raise self._error
                if self._seen and self._seen.at > since:
                    return self._seen
            return self._read_now()

    def note_change(self) -> None:
        """Let everybody see what was changed in this process at this moment."""
        self._changed_at = datetime.now(UTC)

    def _shown(self, since: datetime) -> Overview | None:
        """Return what was read last, if it is new enough to be shown."""
        seen, now = self._seen, self._clock()
        if seen is None or now >= self._shown_until or seen.at <= since:
            return None
        if now >= self._good_until:
            self._again.ask()
        return seen

    def _read_again(self) -> None:
        with suppress(RedisError), self._reading:  # who asks next but one meets the error
            self._read_now()

    def _read_now(self) -> Overview:
        began = self._clock()
        try:
            seen = self._read()
        except RedisError as error:
            self._began_at, self._error = began, error
            raise
        self._seen, self._began_at, self._error = seen, began, None
        took_s = self._clock() - began
        is_quick = took_s <= _QUICK_S
        self._good_until = began if is_quick else began + took_s / _SHARE
        self._shown_until = began if is_quick else self._good_until + _STILL_SHOWN_S
        return seen
