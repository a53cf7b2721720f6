"""Acknowledgements a second over a full queue, and what they cost in CPU and memory.

The queue is filled first, then the workers start. Windows are counted by the fake Klarna, not by
the system; one ends early rather than see the queue run dry.
"""

import os
import time
from dataclasses import dataclass
from math import ceil

from devtools.bench import machine
from devtools.bench.fake_klarna.control import CallCounts
from devtools.bench.figures import Figures, Key
from devtools.bench.plan import Plan
from devtools.bench.process_tree import cpu_s, memory_mb, peak_process_mb
from devtools.bench.systems import System
from devtools.bench.testbed import BenchError, BenchTestbed, ProcessGroup

_POLL_S = 0.05
_FIRST_TIMEOUT_S = 30.0
# A window of a slow system lasts longer, until it is not all chance …
_ENOUGH = 25
# … but not for ever.
_LONGEST_WINDOW_S = 6.0
# Calls are held this long while a system warms up: nobody has to fill the queue for that.
_WARM_UP_LATENCY_MS = 100
_MARGIN_LOOKS = 3

# How many cores somebody else kept busy meanwhile, and how long calls were held in truth.
OTHERS = Key("machine", "", "others_cores")
HELD = Key("fake Klarna", "", "held_ms")


@dataclass(frozen=True, slots=True)
class Look:
    """The counters at one moment."""

    counts: CallCounts
    cpu_s: float
    redis_cpu_s: float
    others_cpu_s: float


def measure(testbed: BenchTestbed, system: System, plan: Plan, figures: Figures) -> None:
    """Measure one system in one round, at each latency."""
    testbed.clear()
    count = _orders_needed(system, plan)
    before = int(testbed.redis.info("memory")["used_memory"])
    testbed.feed(system.peer, count)
    used = int(testbed.redis.info("memory")["used_memory"]) - before
    figures.note(Key(system.name, "", "bytes_per_waiting_order"), used / count)
    began = time.monotonic()
    with testbed.running(system.command, system.env, system.times) as group:
        await_first(testbed, group)
        figures.note(Key(system.name, "", "start_s"), time.monotonic() - began)
        figures.note(Key(system.name, "", "start_cpu_s"), cpu_s(group.pids))
        testbed.klarna.hold_calls(_WARM_UP_LATENCY_MS)
        time.sleep(system.warm_up_s)
        for latency_ms in _latencies(system, plan):
            testbed.klarna.hold_calls(latency_ms)
            time.sleep(plan.settle_s)
            window = _measure_window(testbed, group, count, plan.throughput_s)
            _note(window, figures, system.name, f"{latency_ms} ms")
        figures.note(Key(system.name, "", "process_mb"), peak_process_mb(group.pids))
        figures.note(Key(system.name, "", "total_mb"), memory_mb(group.pids))


def _measure_window(
    testbed: BenchTestbed, group: ProcessGroup, fed: int, window_s: float
) -> tuple[Look, Look]:
    first = _look(testbed, group)
    now = first.counts
    while True:
        time.sleep(_POLL_S)
        before, now = now, testbed.klarna.counts()
        elapsed_s, done = now.at - first.counts.at, now.acknowledged - first.counts.acknowledged
        is_over = elapsed_s >= window_s and (done >= _ENOUGH or elapsed_s >= _LONGEST_WINDOW_S)
        # Leave what the next looks might take: at the very end some workers would be idle.
        margin = max(_MARGIN_LOOKS * (now.acknowledged - before.acknowledged), 1)
        if is_over or fed - now.acknowledged <= margin:
            return first, _look(testbed, group)


def _note(window: tuple[Look, Look], figures: Figures, subject: str, condition: str) -> None:
    first, last = window
    done = last.counts.acknowledged - first.counts.acknowledged
    if not done:
        raise BenchError("nothing was acknowledged while it was measured")
    held_s = last.counts.held_s - first.counts.held_s
    for figure, value in {
        "acks_per_s": last.counts.rate_since(first.counts),
        "cpu_s_per_1000": (last.cpu_s - first.cpu_s) / done * 1000,
        "redis_cpu_s_per_1000": (last.redis_cpu_s - first.redis_cpu_s) / done * 1000,
    }.items():
        figures.note(Key(subject, condition, figure), value)
    elapsed_s = last.counts.at - first.counts.at
    others = (last.others_cpu_s - first.others_cpu_s) / elapsed_s
    figures.note(OTHERS, max(0.0, others))  # the kernel's two ways of counting differ a little
    figures.note(HELD._replace(condition=condition), held_s / (2 * done) * 1000)


def _look(testbed: BenchTestbed, group: ProcessGroup) -> Look:
    group.check()
    others_cpu_s = machine.busy_s() - cpu_s([os.getpid()])  # everything we run descends from us
    counts = testbed.klarna.counts()
    return Look(counts, cpu_s(group.pids), cpu_s([testbed.redis_pid]), others_cpu_s)


def await_first(testbed: BenchTestbed, group: ProcessGroup) -> None:
    """Wait for the first acknowledgement. Raises BenchError or ProcessError."""
    deadline = time.monotonic() + _FIRST_TIMEOUT_S
    while not testbed.klarna.counts().acknowledged:
        group.check()
        if time.monotonic() > deadline:
            raise BenchError(f"no acknowledgement in {_FIRST_TIMEOUT_S:.0f} s")
        time.sleep(0.01)


def _orders_needed(system: System, plan: Plan) -> int:
    """Fill for the fastest that the system can be, at each latency."""
    window_s = plan.settle_s + plan.throughput_s
    phases = [(system.warm_up_s, _WARM_UP_LATENCY_MS)]
    phases += [(window_s, latency_ms) for latency_ms in _latencies(system, plan)]
    return sum(ceil(seconds * system.limit_per_s(latency)) for seconds, latency in phases) + 200


def _latencies(system: System, plan: Plan) -> list[int]:
    return [ms for ms in system.latencies_ms if ms in plan.latencies_ms]
