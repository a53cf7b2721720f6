"""Whether ledger, RQ and metrics count the same. Reads only."""

import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import cast

import requests
from redis import Redis

from pushes.model import State
from pushes.read import overview
from pushes.store import keys, rq_job
from pushes.store.ledger import Ledger

_METRIC = re.compile(
    r'^klarna_ack_(pushes|events_total)\{(?:state|event)="(\w+)"\} (\S+)$', re.MULTILINE
)
# A finished job expires this much earlier or later than its record says: whole seconds.
_ROUNDING_S = 2


def metrics(url: str) -> dict[str, int]:
    """Read the numbers with a label from a web process's /metrics, by label."""
    answer = requests.get(f"{url}/metrics", timeout=10)
    answer.raise_for_status()
    return {found[2]: int(float(found[3])) for found in _METRIC.finditer(answer.text)}


def disagreements(ledger: Ledger, web_urls: list[str]) -> Iterator[str]:
    """Compare the counts of everybody who counts, once all is quiet."""
    counts = overview.counts(ledger.redis, datetime.now(UTC))
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
    if strangers := in_rq - settled.keys():
        yield f"finished: {len(strangers)} of RQ's finished jobs are no settled pushes"


def _scores(redis: Redis, sorted_set: str) -> dict[str, float]:
    pairs = cast(list[tuple[bytes, float]], redis.zrange(sorted_set, 0, -1, withscores=True))
    return {member.decode(): score for member, score in pairs}
