import pytest
from redis import exceptions
from redis.exceptions import RedisError

from pushes.store.connection import NoReplicasError
from pushes.store.server.durability import fault_of, persistence_fault


@pytest.mark.parametrize(
    ("info", "seen"),
    [
        ({"aof_enabled": 1, "aof_last_write_status": "ok"}, None),
        ({"aof_enabled": 1}, None),
        ({"aof_enabled": 0}, "its append-only file is off, so a crash of Redis loses accepted"),
        ({}, "its append-only file is off, so a crash of Redis loses accepted"),
        (
            {"aof_enabled": 1, "aof_last_write_status": "err"},
            "it cannot write its append-only file",
        ),
    ],
)
def test_it_judges_whether_a_crash_loses_pushes(info: dict[str, object], seen: str | None) -> None:
    fault = persistence_fault(info)

    assert (fault is None) == (seen is None)
    assert fault is None or fault.seen.startswith(str(seen))


@pytest.mark.parametrize(
    ("error", "seen", "remedy"),
    [
        (exceptions.BusyLoadingError(), "Redis is starting", "wait until it has"),
        (exceptions.AuthenticationError("WRONGPASS"), "Redis refuses the user", "correct them in"),
        (exceptions.NoPermissionError("NOPERM"), "Redis forbids its user", "give the user"),
        (exceptions.OutOfMemoryError("OOM"), "Redis is full", "raise its maxmemory"),
        (exceptions.ReadOnlyError("READONLY"), "this Redis is a read-only", "lead REDIS_URL to"),
        (exceptions.TimeoutError("host:6379"), "Redis does not answer in time", "bring Redis back"),
        (exceptions.ConnectionError("host:6379"), "Redis does not answer", "bring Redis back, or"),
        (exceptions.ResponseError("MISCONF x"), "Redis cannot save to its disk", "make room on"),
        (exceptions.ResponseError("NOREPLICAS x"), "Redis has too few replicas", "bring its"),
        (NoReplicasError("NOREPLICAS x"), "Redis has too few replicas", "bring its"),
        (
            exceptions.ResponseError("host:6379"),
            "Redis refused the command (ResponseError)",
            "look",
        ),
    ],
)
def test_it_says_what_an_error_means(error: RedisError, seen: str, remedy: str) -> None:
    fault = fault_of(error)

    assert fault.seen.startswith(seen)
    assert fault.remedy.startswith(remedy)
    assert "host" not in fault.seen + fault.remedy
