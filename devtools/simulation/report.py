"""The tables, for the terminal and for docs/reports/simulation.md. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from devtools.simulation.durations import spoken
from devtools.simulation.result import ScenarioResult

_NONE = "\N{EN DASH}"
_COLUMNS = (
    "scenario",
    "orders",
    "lost",
    "dead",
    "attempts, an order",
    "charged, an order",
    "busiest second",
    "drained in",
    "optimum",
    "fresh p95",
    "calls a minute",
    "alerts",
    "Redis at most",
)


def table(results: Iterable[ScenarioResult]) -> str:
    """Make the table of what was measured, a row for each scenario."""
    return _markdown(_COLUMNS, [_row(result) for result in results])


def goals(results: Iterable[ScenarioResult]) -> str:
    """Make the table of the goals and their verdicts."""
    rows = [
        (result.name, goal.text, goal.bound, goal.shown, goal.verdict)
        for result in results
        for goal in result.goals
    ]
    return _markdown(("scenario", "goal", "bound", "measured", "verdict"), rows)


def courses(results: Iterable[ScenarioResult]) -> str:
    """Say for each scenario what was played and what else was seen."""
    return "\n".join(_course(result) for result in results)


def _row(result: ScenarioResult) -> tuple[str, ...]:
    return (
        result.name,
        f"{result.orders:,}",
        f"{result.lost:,}",
        f"{result.dead.total():,}",
        f"{result.attempts_per_order:.2f}",
        f"{result.spent_per_order:.2f}",
        str(result.busiest_second),
        _duration(result.drain_s),
        _duration(result.optimum_s),
        f"{result.fresh_p95_s:.2f} s",
        _NONE if result.calls_per_minute is None else str(result.calls_per_minute),
        str(result.alarms),
        f"{result.memory_bytes / 2**20:.0f} MB",
    )


def _course(result: ScenarioResult) -> str:
    facts = [
        f"fresh are {result.fresh or 'none'}",
        f"{result.resent:,} pushes were re-sends, {result.refused:,} were refused",
        f"{result.requests:,} requests, answered {_counted(result.answers) or 'never'}",
        f"attempts charged to an order: {_counted(_named(result.spent)) or 'none'}",
        f"dead: {_counted(result.dead) or 'none'}",
        *result.notes,
        *([f"faults of its own: {_counted(result.faults)}"] if result.faults else []),
        f"{spoken(result.played_s)} played in {spoken(result.took_s)}",
    ]
    return f"- **{result.name}**: {result.course}. Seen: {'; '.join(facts)}."


def _named(spent: Mapping[int, int]) -> dict[str, int]:
    return {f"with {number}": spent[number] for number in sorted(spent)}


def _counted(counts: Mapping[str, int]) -> str:
    pairs = counts.most_common() if isinstance(counts, Counter) else counts.items()
    return ", ".join(f"{number:,} {what}" for what, number in pairs)


def _duration(seconds: float | None) -> str:
    return _NONE if seconds is None else spoken(seconds)


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
