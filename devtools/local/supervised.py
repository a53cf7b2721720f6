"""Run a command that ends when its parent does, even when the parent is killed with `kill -9`.

Two sides in one file. `Supervised` is the parent's: it starts this very file as a small supervisor
process, and the supervisor starts the command. The parent alone holds the write end of the
supervisor's stdin; the kernel closes it however the parent ends, and the end of that file is the
signal to stop. Unlike PR_SET_PDEATHSIG it does not depend on Linux, nor on which thread forked.

The supervisor runs isolated (`-I -S`), so this module imports the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# What the supervisor is given beyond the command's own grace: to reap, and to be scheduled at all.
_SUPERVISOR_SLACK_S = 10.0


class Supervised:
    """A running command; `pid` is the command's own, for signals.

    Both its outputs go to `log`; its stdin is empty. It leads a process group of its own, so a
    ctrl-c in the terminal reaches the parent alone, and what it forks ends with it.
    """

    def __init__(  # noqa: PLR0913 - the keyword arguments are those of Popen
        self,
        command: Sequence[str],
        *,
        log: IO[bytes],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace_s: float = 10.0,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._grace_s = grace_s
        self._supervisor = subprocess.Popen(  # noqa: S603 - our own interpreter, and no shell
            [sys.executable, "-I", "-S", __file__, str(grace_s), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=env,
            cwd=cwd,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        with _pipe(self._supervisor.stdout) as report:
            line = report.readline()
        if not line:
            self.stop()
            message = f"could not start {command[0]!r}: see its log"
            raise RuntimeError(message)
        self.pid = int(line)

    @property
    def exit_code(self) -> int | None:
        """The command's exit code (128 + N when signal N ended it); None while it runs."""
        return self._supervisor.poll()

    def signal(self, signal_number: signal.Signals) -> None:
        """Send a signal to the command itself, not to what it forked; nothing when it is gone."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal_number)

    def stop(self) -> int:
        """Ask the command to end (SIGTERM), kill it after `grace_s`; may be called twice."""
        _pipe(self._supervisor.stdin).close()
        return self._wait()

    def kill9(self) -> int:
        """Kill the command without warning, and wait until it and its children are gone."""
        self.signal(signal.SIGKILL)
        return self.stop()

    def _wait(self) -> int:
        return self._supervisor.wait(self._grace_s + _SUPERVISOR_SLACK_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """Tell the type checker what it cannot know: this Popen was asked for a pipe."""
    if stream is None:
        raise RuntimeError("the supervisor was started without its pipes")
    return stream


def _supervise(grace_s: float, command: Sequence[str]) -> int:
    # Inherited descriptors (pass_fds) go on to the command: a lock it holds lasts as long as it.
    child = subprocess.Popen(  # noqa: S603 - the command is the caller's, and no shell reads it
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, close_fds=False, process_group=0
    )
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    sys.stdout.write(f"{child.pid}\n")
    sys.stdout.flush()
    threading.Thread(target=_end_with_parent, args=(child, grace_s), daemon=True).start()
    code = child.wait()
    _kill_group(child.pid)
    return code if code >= 0 else 128 - code


def _end_with_parent(child: subprocess.Popen[bytes], grace_s: float) -> None:
    """Wait for the end of stdin, which nobody writes to: it comes when the parent is gone."""
    while os.read(sys.stdin.fileno(), 1):
        continue
    child.terminate()
    child.send_signal(signal.SIGCONT)  # A stopped process takes SIGTERM only when it goes on.
    try:
        child.wait(grace_s)
    except subprocess.TimeoutExpired:
        _kill_group(child.pid)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for zombies
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(_supervise(float(sys.argv[1]), sys.argv[2:]))
