"""How long an order waits for its acknowledge while pushes come at a steady rate.

Ours takes the whole way: HTTP, the web process, Redis, two workers as they come. The peers' orders
are queued directly, with no web process in between. A wait ends when the fake Klarna answers the
acknowledge, so two calls of 50 ms are 100 ms of it.
"""

import time
from collections.abc import Mapping
from contextlib import ExitStack

from devtools.bench import systems
from devtools.bench.figures import Figures, Key
from devtools.bench.load import open_loop
from devtools.bench.measures import intake
from devtools.bench.plan import Plan
from devtools.bench.systems import System
from devtools.bench.testbed import BenchTestbed
from devtools.reporting.numbers import percentile

LATENCY_MS = 50
STEADY_PER_S = 50
FAST_PER_S = 300
# RQ's Worker is not among them: two processes, or eight, do not reach 50/s.
PEERS = (systems.DRAMATIQ, systems.TASKIQ, systems.RQ_SIMPLE)

# Orders of the first second meet workers that open their connections.
_SKIP_S = 1.0
# What is not acknowledged this long after the last push counts as never acknowledged.
_PATIENCE_S = 5.0


def measure_ours(testbed: BenchTestbed, plan: Plan, figures: Figures) -> None:
    """Measure the whole service in one round, at both rates."""
    ours = systems.OURS
    testbed.clear()
    with ExitStack() as running:
        running.enter_context(testbed.running(ours.command, times=ours.times))
        web = running.enter_context(intake.serving(testbed, intake.OURS))
        _await_idle(testbed, 1)
        testbed.klarna.hold_calls(LATENCY_MS)
        for rate, seconds in (
            (STEADY_PER_S, plan.waiting_s),
            (FAST_PER_S, plan.waiting_fast_s),
        ):
            testbed.klarna.forget()
            load = open_loop(
                web.port, connections=intake.CONNECTIONS, rate=rate, seconds=_SKIP_S + seconds
            )
            _await_idle(testbed, load.asked)
            condition = f"{rate}/s"
            counted = [push for push in load.answered if push.asked_at >= load.began_at + _SKIP_S]
            accepted = {push.order_id: push.answered_at for push in counted}
            _note(testbed, figures, Key("ours", condition, "accepted"), accepted)
            asked = {push.order_id: push.asked_at for push in counted}
            _note(testbed, figures, Key("ours", condition, "asked"), asked)
            figures.note(Key("ours", condition, "errors"), load.errors)


def measure_peer(testbed: BenchTestbed, system: System, plan: Plan, figures: Figures) -> None:
    """Measure a peer in one round, its orders queued directly at the lower rate."""
    testbed.clear()
    testbed.feed(system.peer, system.times)
    with testbed.running(system.command, system.env, system.times):
        _await_idle(testbed, system.times)
        time.sleep(system.warm_up_s)
        testbed.klarna.hold_calls(LATENCY_MS)
        testbed.klarna.forget()
        count = int(STEADY_PER_S * (_SKIP_S + plan.waiting_s))
        sent = testbed.feed(system.peer, count, STEADY_PER_S)
        _await_idle(testbed, count)
        first = min(sent.values()) + _SKIP_S
        counted = {order_id: at for order_id, at in sent.items() if at >= first}
        _note(testbed, figures, Key(system.name, f"{STEADY_PER_S}/s", "asked"), counted)


def _await_idle(testbed: BenchTestbed, count: int) -> None:
    """Wait until so many are acknowledged; not for ever, since some systems do not keep up."""
    deadline = time.monotonic() + _PATIENCE_S
    while testbed.klarna.counts().acknowledged < count and time.monotonic() < deadline:
        time.sleep(0.02)


def _note(testbed: BenchTestbed, figures: Figures, key: Key, since: Mapping[str, float]) -> None:
    """Note p50, p99 and the share that was acknowledged at all, of the orders in `since`."""
    ended = testbed.klarna.acknowledged()
    waits_ms = [(ended[one] - at) * 1000 for one, at in since.items() if one in ended]
    for figure, value in {
        "p50_ms": percentile(waits_ms, 0.5),
        "p99_ms": percentile(waits_ms, 0.99),
        "acknowledged": len(waits_ms) / len(since),
    }.items():
        figures.note(key._replace(figure=f"{key.figure}_{figure}"), value)
