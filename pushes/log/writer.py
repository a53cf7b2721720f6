"""Writes log lines from a thread of its own, so that nobody who logs can fail or wait for it.

Whoever reads a log may be gone (EPIPE), its disk full (ENOSPC), or a pipe's reader asleep. Then
lines are dropped and counted, and the count is told as soon as a line can be written again.
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable

# So many lines wait for a slow reader, some megabytes; what comes beyond them is dropped.
MAX_WAITING = 10_000

# Lines of this time are written together. A process that is killed loses as much of its log.
_GATHERED_S = 0.02

# Linux keeps what is written at once together, up to PIPE_BUF, when several processes share a pipe.
_WRITTEN_AT_ONCE = 4096


class LogWriter:
    """Writes to one file descriptor at a time. Threads and forked processes share it."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self._tell_dropped: Callable[[int], str] = str
        self._is_torn = False
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Begin anew in this process: what waits is the parent's to write, the thread is gone."""
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def open(self, fd: int | None, tell_dropped: Callable[[int], str]) -> None:
        """Write to a copy of `fd` from now on, once what waits is written; None: write nowhere.

        `tell_dropped` makes the line that says how many were dropped.
        """
        self.close()
        if self._fd is not None and self._thread is None:  # else somebody still waits for it
            os.close(self._fd)
        # A copy: were the original closed, its number would soon belong to a connection.
        self._fd = None if fd is None else os.dup(fd)
        self._tell_dropped = tell_dropped

    def write(self, line: str) -> None:
        """Take a line, without its end. Never raises, never waits."""
        if len(self._lines) >= MAX_WAITING:
            self.drop()
            return
        self._lines.append(line)
        if self._thread is None:
            self._start()
        self._wake.set()

    def drop(self, lines: int = 1) -> None:
        """Count lines that cannot be written."""
        with self._lock:
            self._dropped += lines

    def close(self, timeout_s: float = 1.0) -> None:
        """Wait until what was taken is written, `timeout_s` at most. The next line begins anew."""
        thread = self._thread
        if thread is not None:
            self._closing.set()
            self._wake.set()
            thread.join(timeout_s)
            self._closing.clear()

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name="log", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread is left; the next line tries again
                return
            self._thread = thread

    def _run(self) -> None:
        try:
            while self._lines or not self._closing.is_set():
                self._wake.wait()
                self._wake.clear()
                while batch := self._take():
                    self._put(batch)
                self._closing.wait(_GATHERED_S)
        finally:
            self._thread = None

    def _take(self) -> list[bytes]:
        """Take as many whole lines as are written at once; one that is longer goes alone."""
        batch: list[bytes] = []
        size = 0
        while self._lines and size < _WRITTEN_AT_ONCE:
            line = f"{self._lines[0]}\n".encode(errors="backslashreplace")
            if batch and size + len(line) > _WRITTEN_AT_ONCE:
                break
            batch.append(line)
            size += len(line)
            self._lines.popleft()
        return batch

    def _put(self, batch: list[bytes]) -> None:
        if self._dropped and self._fd is not None:
            with self._lock:
                dropped, self._dropped = self._dropped, 0
            notice = f"{self._tell_dropped(dropped)}\n".encode()
            if not self._write_out(notice):
                self.drop(dropped)
        if not self._write_out(b"".join(batch)):
            self.drop(len(batch))

    def _write_out(self, data: bytes) -> bool:
        """Write all of it; False when that failed, perhaps after a part."""
        if self._fd is None:
            return False
        rest = memoryview(b"\n" + data if self._is_torn else data)
        whole = len(rest)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # somebody made it so: wait for the reader, as others do
                poll = select.poll()
                poll.register(self._fd, select.POLLOUT)
                poll.poll()
            except OSError:
                self._is_torn = self._is_torn or len(rest) < whole
                return False
        self._is_torn = False
        return True
