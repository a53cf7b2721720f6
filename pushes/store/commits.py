"""The script that commits a change, run on connections that are kept for nothing else.

For each command redis-py borrows a connection from its pool, looks whether it is clean, and times
and counts what happens: a tenth of the CPU of a push. What is kept of it: its connections, with
TLS and Sentinel, their retries and reconnecting, and its errors.
"""

import os
import weakref
from collections import deque
from importlib import resources
from typing import cast

from redis import Redis
from redis.client import Pipeline
from redis.connection import Connection, ConnectionPool
from redis.exceptions import NoScriptError, ResponseError

# What the script answers: nothing, or the record as it is now.
Raw = list[bytes] | dict[bytes, bytes]


class Commits:
    """Runs the script on one Redis. Threads may share it, and so may processes after a fork."""

    def __init__(self, redis: Redis) -> None:
        self._pool: ConnectionPool = redis.connection_pool
        self._text = resources.files("pushes.store").joinpath("commit.lua").read_text()
        self._script = redis.register_script(self._text)
        # As many as ever were in use at the same time; the one that was used last comes first.
        self._idle: deque[Connection] = deque()
        weakref.finalize(self, _give_back, self._pool, self._idle)

    def run(self, record: str, seen: str, commands: str) -> Raw | None:
        """Commit one change; None when it was made, else the record as it is."""
        try:
            return self._ask("EVALSHA", self._script.sha, 1, record, seen, commands)
        except NoScriptError:  # this Redis is new, or was restarted: it keeps what it is sent
            return self._ask("EVAL", self._text, 1, record, seen, commands)

    def add(self, pipeline: Pipeline, record: str, seen: str, commands: str) -> None:
        """Let a pipeline commit a change; its answer is what `run` returns."""
        self._script([record], [seen, commands], client=pipeline)

    def _ask(self, *words: str | int) -> Raw | None:
        connection = self._connection()
        packed = connection.pack_command(*words)  # type: ignore[no-untyped-call]

        def ask() -> Raw | None:
            connection.send_packed_command(packed)  # type: ignore[no-untyped-call]
            return cast(Raw | None, connection.read_response())

        try:
            answer = connection.retry.call_with_retry(ask, lambda _error: connection.disconnect())  # type: ignore[no-untyped-call]
        except ResponseError:  # it said no; that was all of it
            self._idle.append(connection)
            raise
        except BaseException:
            connection.disconnect()  # type: ignore[no-untyped-call]
            self._pool.release(connection)
            raise
        self._idle.append(connection)
        return answer

    def _connection(self) -> Connection:
        try:
            connection = self._idle.pop()
        except IndexError:
            return self._pool.get_connection()
        if connection.pid == os.getpid():
            return connection
        return self._pool.get_connection()  # that one is the parent process's


def _give_back(pool: ConnectionPool, idle: deque[Connection]) -> None:
    for connection in idle:
        pool.release(connection)
