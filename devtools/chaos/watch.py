"""Counts the ledger against RQ while everything is being killed: one moment, one answer of Redis.

They must agree then, too, since each change moves both in one step. A job that two workers popped
one after the other may stand in the queue once too often until the next pop of it.
"""

import threading
from collections import Counter
from typing import Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from devtools.chaos import bookkeeping
from pushes.store.ledger import Ledger

_EVERY_S = 0.2
# A second: long enough for the pop that puts things right.
_LASTING_LOOKS = 5


class RecoveryWatch:
    """Looks until the `with` block ends; `lasting` says what was no mere moment."""

    def __init__(self, redis_url: str) -> None:
        self.looks = 0
        self.disagreements: list[str] = []
        self.lasting: list[str] = []
        self._in_a_row: Counter[str] = Counter()
        self._redis = Redis.from_url(redis_url, socket_timeout=1, retry=Retry(NoBackoff(), 0))
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._redis.close()

    def _look(self) -> None:
        ledger = Ledger(self._redis)
        while not self._end.wait(_EVERY_S):
            try:
                places = bookkeeping.compare(ledger)
            except RedisError:
                continue
            self.looks += 1
            for place, (in_ledger, in_rq) in places.items():
                self._note(place, in_ledger, in_rq)

    def _note(self, place: str, in_ledger: int, in_rq: int) -> None:
        if in_ledger == in_rq:
            self._in_a_row[place] = 0
            return
        said = f"{place}: {in_ledger} in the ledger, {in_rq} in RQ"
        self.disagreements.append(said)
        self._in_a_row[place] += 1
        if self._in_a_row[place] == _LASTING_LOOKS:
            self.lasting.append(f"under load, for {_LASTING_LOOKS * _EVERY_S:.0f} s: {said}")
