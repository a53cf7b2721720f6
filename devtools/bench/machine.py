"""What a report must say of the machine: numbers without it mean nothing. No names, no paths."""

import os
import platform
import re
import statistics
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from devtools.bench.peers.environment import pins
from devtools.reporting.run import cores, software

_FSYNCS = 50
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_OURS = ("flask", "gunicorn", "hiredis", "redis", "requests", "rq")
_PEERS = ("aiohttp", "celery", "dramatiq", "gevent", "taskiq", "taskiq-redis")


def facts() -> dict[str, str]:
    """Describe the machine and the versions."""
    ours = ", ".join(f"{name} {version(name)}" for name in _OURS)
    peers = ", ".join(f"{name} {pins()[name]}" for name in _PEERS)
    return {
        "When": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "Processor": f"{cores()} cores, {_processor()}",
        "Software": software(),
        "Packages": ours,
        "Peers": peers,
        "An fsync of 1 kB": f"{_fsync_ms():.2f} ms",
    }


def busy_s() -> float:
    """Return the CPU seconds that all processes of this machine have spent so far."""
    return sum(_cpu_s()[:3])  # user, nice, system


def stolen_s() -> float:
    """Return the CPU seconds that the hypervisor gave to other machines so far."""
    return _cpu_s()[7]


def _cpu_s() -> list[float]:
    """Read the first line of /proc/stat, see proc(5)."""
    line = Path("/proc/stat").read_text().split("\n", 1)[0]
    return [int(ticks) / _TICKS_PER_S for ticks in line.split()[1:]]


def _processor() -> str:
    """Return the processor's name as Linux gives it."""
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _fsync_ms() -> float:
    """Return the median of writing 1 kB and syncing it, where Redis has its append-only file."""
    took = []
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(_FSYNCS):
            began = time.perf_counter()
            file.write(b"x" * 1024)
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000
