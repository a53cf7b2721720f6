"""How a tool's run begins and ends, and what its report says of the machine and the run."""

import os
import platform
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import FrameType
from typing import NoReturn

from devtools.local.server_binary import describe_server

_INTERRUPTED = 128 + signal.SIGINT


def end_with(main: Callable[[list[str]], int]) -> NoReturn:
    """Run a tool's `main` and end the process with the exit code it returns.

    SIGTERM ends the run as ctrl-c does: what the run has started is ended, the exit code is 130.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # a script's background job ignores SIGINT
        signal.signal(number, _interrupt)
    try:
        code = main(sys.argv[1:])
    except KeyboardInterrupt:
        code = _INTERRUPTED
    sys.exit(code)


def say(line: str) -> None:
    """Tell whoever waits for the run how it goes; stdout is the report's."""
    sys.stderr.write(f"{line}\n")


def provenance(tool: str, arguments: Sequence[str]) -> str:
    """Write how a report came about: on what day, by what command, on what machine."""
    command = shlex.join(["python", "-m", f"devtools.{tool}", *arguments])
    today = datetime.now(UTC).date().isoformat()
    return f"on {today} with `{command}`, on {cores()} cores, {software()}"


def software() -> str:
    """Name the versions of Python and of the Redis server: `Python 3.11.7, Valkey 9.1.2`."""
    return f"Python {platform.python_version()}, {describe_server()}"


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
