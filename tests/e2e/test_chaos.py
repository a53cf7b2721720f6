"""The chaos suite in its small form. `make chaos` runs the large form."""

import sys
from datetime import timedelta

import pytest
from redis import Redis

from devtools.chaos import report
from devtools.chaos.audit import counts, leftovers
from devtools.chaos.scale import SMALL, trials
from devtools.local.processes import Processes
from devtools.local.seeds import seeded
from pushes.model import State
from pushes.store import indexes, keys
from pushes.store.ledger import Ledger
from tests.builders import NOW, put

SEED = "1"


@pytest.mark.timeout(300)  # a trial has time limits of its own, and says what was not done by then
@pytest.mark.parametrize("name", ["kills", "redis-always", "rolling", "in-a-row"])
def test_the_promise_is_kept_while(name: str) -> None:
    result = trials(SMALL, ["always"])[name](seeded(SEED, name))

    for text in (report.overview([result]), report.times([result]), report.details([result])):
        sys.stdout.write(f"{text}\n\n")
    assert result.broken == []
    assert result.lost == 0
    assert result.accepted == result.orders
    assert (result.kills + result.others).total() >= SMALL.redis_kills


def test_it_finds_counts_that_disagree(processes: Processes, redis_client: Redis) -> None:
    ledger = Ledger(redis_client)
    web = processes.web().wait_ready()
    now = NOW + timedelta(days=10_000)  # none of it has expired
    for state in (State.DEAD, State.RETRYING, State.QUEUED):
        put(ledger, state, now=now)
    assert list(counts.disagreements(ledger, [web.url])) == []

    queue = ledger.rq.queue
    redis_client.delete(queue.key, queue.failed_job_registry.key)
    redis_client.zadd(queue.finished_job_registry.key, {"default_unknown": 9e9})
    assert list(counts.disagreements(ledger, [web.url])) == [
        "waiting: 1 in the ledger, 0 in RQ",
        "failed: 1 in the ledger, 0 in RQ",
        "finished: 1 of RQ's finished jobs are no settled pushes",
    ]


def test_it_finds_keys_that_never_expire(redis_client: Redis) -> None:
    ledger = Ledger(redis_client)
    for state in (State.DEAD, State.ACKNOWLEDGED, State.NOT_NEEDED):
        put(ledger, state)
    assert leftovers.never_expiring(ledger) == []

    (settled,) = indexes.members(ledger.redis, State.ACKNOWLEDGED)
    redis_client.persist(keys.record(settled))
    redis_client.set("rq:something", 1)
    assert leftovers.never_expiring(ledger) == [keys.record(settled), "rq:something"]
