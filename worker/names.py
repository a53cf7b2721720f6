"""Names of attempts and of workers; those tell whether the process behind one can still live.

shop-4711-1f3a9c20-8d41be    host, process id, process-id space, a random part
"""

import os
import socket
from pathlib import Path
from random import getrandbits
from uuid import uuid4
from zlib import crc32

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")


def new_name() -> str:
    """Name this process, anew with every call."""
    return f"{socket.gethostname()}-{os.getpid()}-{_pid_space()}-{uuid4().hex[:6]}"


def new_execution_id() -> str:
    """Name an attempt, anew with every call; no secret."""
    return f"{getrandbits(128):032x}"


def is_gone(name: str) -> bool:
    """Whether the process behind a name is known to have ended.

    Known only of processes whose ids we see: same boot, same process-id namespace. Two machines
    or containers with the same host name are never taken for each other. False when in doubt.
    """
    parts = name.rsplit("-", 3)
    if len(parts) < 4 or parts[2] != _pid_space() or not parts[1].isdigit():  # noqa: PLR2004 - the parts of a name
        return False
    pid = int(parts[1])
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _pid_space() -> str:
    """Name the space in which process ids mean something to us; a new name where unknown."""
    try:
        space = f"{_BOOT_ID.read_text()}{_PID_NAMESPACE.readlink()}"
    except OSError:
        return uuid4().hex[:8]
    return f"{crc32(space.encode()):08x}"
