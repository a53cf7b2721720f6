"""The metrics of workers, of what they had to mend, and of Redis."""

from collections.abc import Iterator

from prometheus_client.core import Metric

from pushes.read.alarms import Alarm
from pushes.read.overview import Overview
from pushes.store.server.durability import ServerFacts
from service.metrics.families import counters, gauge, gauges


def families(seen: Overview, server: ServerFacts) -> Iterator[Metric]:
    """Yield the metrics of processes."""
    yield from _workers(seen)
    yield counters("klarna_ack_events", "What workers had to mend, by kind.", "event", seen.events)
    yield gauges(
        "klarna_ack_alarm",
        "1 while workers find that it is so.",
        "alarm",
        {alarm: alarm in seen.alarms for alarm in Alarm},
    )
    yield from _redis(server)


def _workers(seen: Overview) -> Iterator[Metric]:
    """Tell who takes jobs, and whether they are told not to."""
    live = seen.workers
    yield gauge("klarna_ack_workers", "Workers that beat and acknowledge orders.", live.ours)
    yield gauges("klarna_ack_workers_by_version", "The same by version.", "version", live.versions)
    yield gauge(
        "klarna_ack_worker_slots", "Attempts that all workers can make at a time.", live.slots
    )
    yield gauge(
        "klarna_ack_worker_slots_busy", "Attempts that all workers make at the moment.", live.busy
    )
    yield gauge(
        "klarna_ack_other_workers",
        "Workers that beat on our queue and are none of ours: they cannot do the jobs they take.",
        live.others,
    )
    yield gauge(
        "klarna_ack_skewed_workers",
        "Workers that take no jobs, since their clocks are too far from Redis's.",
        live.skewed,
    )
    yield gauge(
        "klarna_ack_suspended",
        "1 while `rq suspend` keeps the workers from taking jobs.",
        live.suspended,
    )
    yield gauges(
        "klarna_ack_periodic_task_last_success_timestamp_seconds",
        "When a periodic task succeeded last, in the worker where that is longest ago.",
        "task",
        {name: at.timestamp() for name, at in sorted(live.tasks.items())},
    )


def _redis(server: ServerFacts) -> Iterator[Metric]:
    yield gauge(
        "klarna_ack_redis_persists",
        "1 while accepted pushes survive a crash of Redis.",
        server.fault is None,
    )
    yield gauge("klarna_ack_redis_replicas", "Replicas of Redis.", server.replicas)
    yield gauge(
        "klarna_ack_redis_replica_lag_seconds",
        "Since the slowest replica of Redis last answered it; 0 without replicas.",
        server.replica_lag_s or 0,
    )
    yield gauge("klarna_ack_redis_memory_used_bytes", "Memory that Redis uses.", server.memory_used)
    yield gauge(
        "klarna_ack_redis_memory_max_bytes",
        "Memory that Redis may use; 0: without a limit of its own.",
        server.memory_max,
    )
