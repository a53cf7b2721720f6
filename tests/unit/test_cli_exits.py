import pytest
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,  # noqa: A004 - redis's own name
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004 - redis's own name
)

from cli.exits import nothing_changed, what_happened


@pytest.mark.parametrize(
    ("error", "beginning"),
    [
        (
            ConnectionError("Error 111 connecting to redis:6379."),
            "Redis does not answer (ConnectionError: Error 111 connecting to redis:6379)",
        ),
        (
            TimeoutError("Timeout reading from socket"),
            "Redis does not answer in time (TimeoutError: Timeout reading from socket)",
        ),
        (
            AuthenticationError("invalid pair"),
            "Redis refuses the user name or password (AuthenticationError: invalid pair)",
        ),
        (
            ReadOnlyError("You can't write against a replica."),
            "This Redis is a read-only replica (ReadOnlyError: You can't write against a replica)",
        ),
        (
            ResponseError("OOM command\nnot allowed " + "x" * 300),
            f"Redis refused the command (ResponseError: OOM command not allowed {'x' * 176})",
        ),
    ],
)
def test_it_says_what_happened_in_one_line(error: RedisError, beginning: str) -> None:
    assert what_happened(error) == beginning


def test_it_says_what_it_means_and_what_to_do() -> None:
    assert nothing_changed(TimeoutError("Timeout")) == (
        "Redis does not answer in time (TimeoutError: Timeout): nothing was changed, and accepted "
        "pushes are safe in Redis. Bring Redis back. Then run this again."
    )


def test_it_does_not_call_a_full_redis_away() -> None:
    assert nothing_changed(OutOfMemoryError("command not allowed")) == (
        "Redis is full and refuses to write (OutOfMemoryError: command not allowed): nothing was"
        " changed, and accepted pushes are safe in Redis. Raise its maxmemory, or make room. Then"
        " run this again."
    )
