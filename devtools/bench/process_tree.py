"""CPU and memory of process trees, as Linux counts them. Needs /proc."""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat, counted after the command's name (proc(5) counts from 1, two more).
_PARENT, _CPU = 1, slice(11, 15)  # utime, stime, and those of children that were waited for


def tree(roots: Iterable[int]) -> set[int]:
    """Return the processes and all their descendants; those that ended meanwhile may be missing."""
    parents = {pid: int(fields[_PARENT]) for pid, fields in _all_stats().items()}
    found: set[int] = set()
    generation = set(roots)
    while generation:
        found |= generation
        generation = {pid for pid, parent in parents.items() if parent in generation} - found
    return found


def cpu_s(roots: Iterable[int]) -> float:
    """Return the CPU seconds of process trees so far, ended and waited-for children included."""
    stats = _all_stats()
    return sum(
        sum(map(int, stats[pid][_CPU])) / _TICKS_PER_S for pid in tree(roots) if pid in stats
    )


def peak_process_mb(roots: Iterable[int]) -> float:
    """Return the most memory that any one process of the trees ever held (VmHWM), in MB."""
    return max((_kilobytes(pid, "status", "VmHWM") for pid in tree(roots)), default=0) / 1024


def memory_mb(roots: Iterable[int]) -> float:
    """Return what the trees hold now, pages that processes share counted once (PSS), in MB."""
    return sum(_kilobytes(pid, "smaps_rollup", "Pss") for pid in tree(roots)) / 1024


def resident_mb(pids: Iterable[int]) -> float:
    """Return what processes hold in memory now (VmRSS), in MB; what they share counts for each."""
    return sum(_kilobytes(pid, "status", "VmRSS") for pid in pids) / 1024


def _all_stats() -> dict[int, list[str]]:
    stats = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it ended
                stats[int(entry.name)] = (entry / "stat").read_text().rpartition(")")[2].split()
    return stats


def _kilobytes(pid: int, file: str, name: str) -> int:
    with suppress(OSError):  # it ended
        text = (_PROC / str(pid) / file).read_text()
        if found := re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE):
            return int(found[1])
    return 0
