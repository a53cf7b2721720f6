"""How much of Klarna's quota one worker uses, as it comes, when calls are slow.

Klarna allows 200 calls a second for one merchant. At 500 ms a call a hundred calls are under way at
any moment then, so a worker that makes too few attempts at a time wastes the rest.
"""

import time

from devtools.bench import systems
from devtools.bench.figures import Figures, Key
from devtools.bench.measures.throughput import await_first
from devtools.bench.plan import Plan
from devtools.bench.testbed import BenchTestbed

QUOTA_PER_S = 200
LATENCY_MS = 500
CALLS = Key(
    systems.OURS_ALONE.name, f"{LATENCY_MS} ms, {QUOTA_PER_S} calls/s allowed", "calls_per_s"
)

# The quota lets a second's worth of calls go at once in the beginning.
_SETTLE_S = 2.5


def measure(testbed: BenchTestbed, plan: Plan, figures: Figures) -> None:
    """Measure one worker in one round."""
    system = systems.OURS_ALONE
    testbed.clear()
    calls = QUOTA_PER_S * (_SETTLE_S + plan.quota_s)
    testbed.feed(system.peer, round(calls))  # twice as many orders as it can make calls for
    testbed.klarna.hold_calls(LATENCY_MS)
    env = {**system.env, "KLARNA_RATE_PER_S": str(QUOTA_PER_S)}
    with testbed.running(system.command, env, system.times) as group:
        await_first(testbed, group)
        time.sleep(_SETTLE_S)
        first = testbed.klarna.counts()
        time.sleep(plan.quota_s)
        last = testbed.klarna.counts()
        group.check()
    figures.note(CALLS, last.calls_per_s_since(first))
