# ruff: noqa: RUF001 - the signs for "times" and "nothing" are meant
"""The report: figures as Markdown. Pure; its prose is in report.md."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

from devtools.bench import systems
from devtools.bench.figures import Figures, Key
from devtools.bench.goals import goals
from devtools.bench.measures import intake, quota, throughput, waiting
from devtools.reporting.markdown import NONE, table

_TEMPLATE = Template(Path(__file__).with_suffix(".md").read_text(encoding="utf-8"))


def render(figures: Figures, facts: Mapping[str, str]) -> str:
    """Write the whole report; `facts` describe the machine and the run."""
    return _TEMPLATE.substitute(
        goals=table(("", "Goal", "Measured", "Verdict"), [goal.row for goal in goals(figures)]),
        throughput="\n\n".join(_throughput(figures)),
        costs=_costs(figures),
        intake=_intake(figures),
        waiting=_waiting(figures),
        facts=_facts(figures, facts),
        connections=intake.CONNECTIONS,
        latency=waiting.LATENCY_MS,
        steady=waiting.STEADY_PER_S,
        quota=quota.QUOTA_PER_S,
        quota_latency=quota.LATENCY_MS,
        quota_calls=_shown(figures, quota.CALLS),
    )


def _throughput(figures: Figures) -> Iterator[str]:
    for latency_ms in sorted(systems.OURS.latencies_ms):
        rates = [Key(system.name, f"{latency_ms} ms", "acks_per_s") for system in systems.ALL]
        rows = [
            (
                rate.subject,
                _shown(figures, rate),
                _against_counterpart(figures, rate),
                _shown(figures, rate._replace(figure="cpu_s_per_1000"), 2),
                _shown(figures, rate._replace(figure="redis_cpu_s_per_1000"), 2),
            )
            for rate in rates
            if figures.spread(rate)
        ]
        if rows:
            yield f"### {latency_ms} ms a call"
            yield table(("Worker", "acknowledged/s", "ours is", "CPU s", "Redis's"), rows)


def _against_counterpart(figures: Figures, rate: Key) -> str:
    """Say how many times as fast ours is, and which of ours."""
    if rate.subject.startswith("ours"):
        return NONE
    ours = systems.COUNTERPARTS[rate.subject].name
    return f"{_ratio(figures, rate._replace(subject=ours), rate)} ({ours.partition(', ')[2]})"


def _costs(figures: Figures) -> str:
    columns = (("process_mb", 0), ("total_mb", 0), ("start_s", 1), ("start_cpu_s", 1))
    rows = [
        (
            system.name,
            *(_shown(figures, Key(system.name, "", name), digits) for name, digits in columns),
            _shown(figures, Key(system.name, "", "bytes_per_waiting_order")),
        )
        for system in systems.ALL
        if figures.spread(Key(system.name, "", "start_s"))
    ]
    head = ("MB, largest process", "MB, all", "s to the first", "CPU s", "bytes in Redis")
    return table(("Worker", *head), rows)


def _intake(figures: Figures) -> str:
    rows = []
    for view in intake.ALL:
        for condition in intake.conditions(view):
            rate = Key(view.name, condition, "full_per_s")
            ours = Key(intake.OURS.name, condition or "everysec", "full_per_s")
            if not figures.spread(rate):
                continue
            rows.append(
                (
                    f"{view.name}, AOF {condition}" if condition else view.name,
                    _shown(figures, rate),
                    _ratio(figures, ours, rate),
                    _shown(figures, rate._replace(figure="full_cpu_us")),
                    *(_p50_p99(figures, rate, load) for load in ("full", "steady")),
                    _shown(figures, rate._replace(figure="process_mb")),
                    _shown(figures, rate._replace(figure="errors")),
                )
            )
    steady = f"ms at {intake.STEADY_PER_S}/s"
    head = ("requests/s", "ours is", "CPU µs each", "ms at full load", steady, "MB", "errors")
    return table(("View", *head), rows)


def _waiting(figures: Figures) -> str:
    slow, fast = f"{waiting.STEADY_PER_S}/s", f"{waiting.FAST_PER_S}/s"
    whose = [
        ("ours, from sending the push", Key("ours", slow, "asked")),
        ("ours, from our 200", Key("ours", slow, "accepted")),
        ("ours, from sending the push", Key("ours", fast, "asked")),
        ("ours, from our 200", Key("ours", fast, "accepted")),
        *((system.name, Key(system.name, slow, "asked")) for system in waiting.PEERS),
    ]
    columns = (("p50_ms", 1), ("p99_ms", 1), ("acknowledged", 2))
    rows = [
        (
            name,
            key.condition,
            *(
                _shown(figures, key._replace(figure=f"{key.figure}_{column}"), digits)
                for column, digits in columns
            ),
        )
        for name, key in whose
        if figures.spread(key._replace(figure=f"{key.figure}_p50_ms"))
    ]
    return table(("Whose orders", "rate", "p50, ms", "p99, ms", "share acknowledged"), rows)


def _facts(figures: Figures, facts: Mapping[str, str]) -> str:
    held = throughput.HELD._replace(condition="50 ms")
    of_run = {
        "A call of 50 ms was held for, in ms": _shown(figures, held, 2),
        "Cores that others kept busy meanwhile": _shown(figures, throughput.OTHERS, 2),
    }
    return "\n".join(f"- {name}: {value}" for name, value in {**facts, **of_run}.items())


def _p50_p99(figures: Figures, key: Key, load: str) -> str:
    p50, p99 = (key._replace(figure=f"{load}_{name}_ms") for name in ("p50", "p99"))
    return f"{_shown(figures, p50, 1)}; {_shown(figures, p99, 1)}"


def _shown(figures: Figures, key: Key, digits: int = 0) -> str:
    spread = figures.spread(key)
    return spread.shown(digits) if spread else NONE


def _ratio(figures: Figures, ours: Key, theirs: Key) -> str:
    if ours == theirs:
        return "1"
    spread = figures.ratio(ours, theirs)
    return f"{spread.shown(2)} ×" if spread else NONE
