# ruff: noqa: RUF001 - the sign for "times" is meant
"""What we promised ourselves, held against the figures. Pure."""

from devtools.bench import systems
from devtools.bench.figures import Figures, Key
from devtools.bench.measures import intake, quota, settled, waiting
from devtools.reporting.goals import Bound, Goal

_AT_LEAST = Bound.AT_LEAST


def _rate(system: systems.System) -> Key:
    return Key(system.name, "50 ms", "acks_per_s")


_INTAKE = Key(intake.OURS.name, "everysec", "full_per_s")
_STEADY = Key(intake.OURS.name, "always", "steady_p99_ms")


def goals(figures: Figures) -> list[Goal]:
    """List the goals with what was measured."""
    return [*_acknowledging(figures), *_taking_in(figures), *_waiting(figures)]


def _acknowledging(figures: Figures) -> list[Goal]:
    ours = systems.OURS.name

    def against(mine: systems.System, other: systems.System, limit: float) -> Goal:
        ratio = figures.ratio(_rate(mine), _rate(other))
        text = f"acknowledged/s: {mine.name}, against {other.name}"
        return Goal(text, ratio, limit, "×", _AT_LEAST, digits=2)

    return [
        against(systems.OURS, systems.DRAMATIQ, 1.2),
        against(systems.OURS_32, systems.DRAMATIQ_32, 1),
        against(systems.OURS, systems.RQ_WORKER, 60),
        Goal(
            "acknowledged/s: one worker alone",
            figures.spread(_rate(systems.OURS_ALONE)),
            300,
            "/s",
            _AT_LEAST,
        ),
        Goal(
            f"calls/s: one worker at {quota.LATENCY_MS} ms a call, {quota.QUOTA_PER_S} allowed",
            figures.spread(quota.CALLS),
            180,
            "/s",
            _AT_LEAST,
        ),
        Goal(
            "two workers: CPU for 1,000 acknowledgements",
            figures.spread(Key(ours, "50 ms", "cpu_s_per_1000")),
            1.5,
            "s",
            digits=2,
        ),
        Goal(
            "two workers: peak memory of each",
            figures.spread(Key(ours, "", "process_mb")),
            80,
            "MB",
        ),
        Goal(
            "memory of a waiting order in Redis, ledger included",
            figures.spread(Key(ours, "", "bytes_per_waiting_order")),
            2500,
            "bytes",
        ),
        Goal(
            "memory of a settled order in Redis, from the day after on, but for what finds it",
            figures.spread(settled.LATER),
            600,
            "bytes",
        ),
    ]


def _taking_in(figures: Figures) -> list[Goal]:
    flask = Key(intake.FLASK.name, "", "full_per_s")
    enqueue = _INTAKE._replace(subject=intake.ENQUEUE.name)
    return [
        Goal(
            "intake: requests/s against a bare Flask view",
            figures.ratio(_INTAKE, flask),
            0.45,
            "×",
            _AT_LEAST,
            digits=2,
        ),
        Goal(
            "intake: requests/s against a bare `queue.enqueue` view",
            figures.ratio(_INTAKE, enqueue),
            1.8,
            "×",
            _AT_LEAST,
            digits=2,
        ),
        Goal(
            "intake at a steady 300/s, AOF always: p99 against a bare Flask view's",
            figures.ratio(_STEADY, Key(intake.FLASK.name, "", "steady_p99_ms")),
            2,
            "×",
            digits=2,
        ),
        Goal(
            "intake: peak memory of each process",
            figures.spread(_INTAKE._replace(figure="process_mb")),
            80,
            "MB",
        ),
    ]


def _waiting(figures: Figures) -> list[Goal]:
    return [
        Goal(
            f"push accepted → acknowledged at a steady {rate}/s: {name}",
            figures.spread(Key("ours", f"{rate}/s", f"accepted_{name}_ms")),
            limit_ms,
            "ms",
            digits=1,
        )
        for rate, name, limit_ms in (
            (waiting.STEADY_PER_S, "p50", 104),
            (waiting.STEADY_PER_S, "p99", 115),
            (waiting.FAST_PER_S, "p99", 150),
        )
    ]
