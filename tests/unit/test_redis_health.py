"""What a worker says of Redis, and how often: the runbook relies on it."""

from datetime import UTC, datetime

from redis.exceptions import (
    ConnectionError,  # noqa: A004 - redis's own name
    OutOfMemoryError,
)
from structlog.testing import capture_logs

from tests.builders import ManualClock
from tests.documents import RUNBOOK
from worker.redis_health import RedisHealth

ENTRY = RUNBOOK.read_text().partition("### `worker.redis_away`")[2].partition("\n### ")[0]


def test_it_says_once_that_redis_is_away_and_once_that_it_is_back() -> None:
    health = RedisHealth("worker-1", ManualClock(datetime(2026, 3, 1, tzinfo=UTC)))

    with capture_logs() as logged:
        health.note_there()
        for _ in range(3):
            health.note_away(ConnectionError("refused"))
        for _ in range(3):
            health.note_there()

    assert [line["event"] for line in logged] == ["worker.redis_away", "worker.redis_back"]
    assert "**Over when:** `worker.redis_back` is logged" in ENTRY
    assert "logs each of the two once" in ENTRY


def test_it_says_what_to_do_about_a_redis_that_is_there_and_full() -> None:
    health = RedisHealth("worker-1", ManualClock(datetime(2026, 3, 1, tzinfo=UTC)))

    with capture_logs() as logged:
        health.note_away(OutOfMemoryError("command not allowed"))

    (line,) = logged
    assert line["action"].startswith("raise its maxmemory")
