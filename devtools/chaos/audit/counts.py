"""Whether ledger, RQ and metrics count the same, when all is quiet and under load. Reads only.

Ledger and RQ must agree even while everything is being killed, since each change moves both in one
step. A job that two workers popped one after the other may stand in the queue once too often until
the next pop of it.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Self, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from devtools.local.loopback import loopback_session
from pushes.model import State
from pushes.read import overview
from pushes.store import keys, rq_job
from pushes.store.ledger import Ledger

_METRIC = re.compile(
    r'^klarna_ack_(pushes|events_total)\{(?:state|event)="(\w+)"\} (\S+)$', re.MULTILINE
)
# A finished job expires this much earlier or later than its record says: whole seconds.
_ROUNDING_S = 2
# How often the watch compares, and how many times in a row they may differ: for a second, long
# enough for the pop that puts things right.
_EVERY_S = 0.2
_IN_A_ROW = 5


def metrics(url: str) -> dict[str, int]:
    """Read the numbers with a label from a web process's /metrics, by label."""
    with loopback_session() as session:
        answer = session.get(f"{url}/metrics", timeout=10)
    answer.raise_for_status()
    return {found[2]: int(float(found[3])) for found in _METRIC.finditer(answer.text)}


def disagreements(ledger: Ledger, web_urls: list[str]) -> Iterator[str]:
    """Compare the counts of everybody who counts, once all is quiet."""
    counts = overview.counts(ledger, datetime.now(UTC))
    for url in web_urls:
        shown = metrics(url)
        for state in State:
            if shown.get(str(state)) != counts[state]:
                yield f"{state}: {counts[state]} in the ledger, {shown.get(str(state))} in /metrics"
    for name, (in_ledger, in_rq) in compare(ledger).items():
        if in_ledger != in_rq:
            yield f"{name}: {in_ledger} in the ledger, {in_rq} in RQ"
    yield from _finished(ledger)


def compare(ledger: Ledger) -> Mapping[str, tuple[int, int]]:
    """Count in one moment, of each place where RQ keeps a job, what the ledger and RQ have there.

    They agree at every moment, not only when all is quiet: each change moves both in one step.
    """
    queue = ledger.rq.queue
    pipeline = ledger.redis.pipeline(transaction=True)
    for state in (State.QUEUED, State.RUNNING, State.RETRYING, State.HELD, State.DEAD):
        pipeline.zcard(keys.index(state))
    pipeline.llen(queue.key)
    pipeline.llen(queue.intermediate_queue_key)
    for registry in (
        queue.started_job_registry,
        queue.scheduled_job_registry,
        queue.failed_job_registry,
    ):
        pipeline.zcard(registry.key)
    queued, running, retrying, held, dead, *in_rq = pipeline.execute()
    waiting, popped, started, scheduled, failed = in_rq
    return {
        "waiting": (queued, waiting + popped),
        "started": (running, started),
        "scheduled": (retrying + held, scheduled),
        "failed": (dead, failed),
    }


def _finished(ledger: Ledger) -> Iterator[str]:
    """Compare what is settled with RQ's finished jobs, which RQ shows for five minutes only."""
    now = time.time()
    registry = ledger.rq.queue.finished_job_registry
    in_rq = _scores(ledger.redis, registry.key).keys()
    settled = _scores(ledger.redis, keys.index(State.ACKNOWLEDGED))
    settled |= _scores(ledger.redis, keys.index(State.NOT_NEEDED))
    recent = {
        member for member, at in settled.items() if now - at < rq_job.RESULT_TTL_S - _ROUNDING_S
    }
    if missing := recent - in_rq:
        yield f"finished: {len(missing)} settled pushes are not in RQ's finished jobs"
    if unknown := in_rq - settled.keys():
        yield f"finished: {len(unknown)} of RQ's finished jobs are no settled pushes"


def _scores(redis: Redis, sorted_set: str) -> dict[str, float]:
    pairs = cast(list[tuple[bytes, float]], redis.zrange(sorted_set, 0, -1, withscores=True))
    return {member.decode(): score for member, score in pairs}


class CountWatch:
    """Compares under load until its `with` block ends; `lasting` says what was no mere moment."""

    def __init__(self, redis_url: str) -> None:
        self.comparisons = 0
        self.disagreements: list[str] = []
        self.lasting: list[str] = []
        self._in_a_row: Counter[str] = Counter()
        self._redis = Redis.from_url(redis_url, socket_timeout=1, retry=Retry(NoBackoff(), 0))
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._compare)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._redis.close()

    def _compare(self) -> None:
        ledger = Ledger(self._redis)
        while not self._end.wait(_EVERY_S):
            try:
                places = compare(ledger)
            except RedisError:
                continue
            self.comparisons += 1
            for place, (in_ledger, in_rq) in places.items():
                self._note(place, in_ledger, in_rq)

    def _note(self, place: str, in_ledger: int, in_rq: int) -> None:
        if in_ledger == in_rq:
            self._in_a_row[place] = 0
            return
        said = f"{place}: {in_ledger} in the ledger, {in_rq} in RQ"
        self.disagreements.append(said)
        self._in_a_row[place] += 1
        if self._in_a_row[place] == _IN_A_ROW:
            self.lasting.append(f"under load, for {_IN_A_ROW * _EVERY_S:.0f} s: {said}")
