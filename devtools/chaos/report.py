"""The tables, for the terminal and for docs/reports/chaos.md. Pure."""

from collections import Counter

from devtools.chaos.result import Times, TrialResult

_NONE = "\N{EN DASH}"
_COLUMNS = (
    "trial",
    "orders",
    "kills",
    "lost",
    "dead at first",
    "run again",
    "acknowledged twice",
    "slowest recovery",
)


def table(results: list[TrialResult]) -> str:
    """Make the table: a row for each trial, and their sum."""
    rows = [_row(result) for result in results]
    total = (
        "**all**",
        sum(result.orders for result in results),
        sum(result.kills.total() for result in results),
        sum(result.lost for result in results),
        sum(result.dead.total() for result in results),
        sum(result.run_again for result in results),
        sum(result.acknowledged_twice for result in results),
        _seconds(max((result.slowest_s or 0 for result in results), default=0)),
    )
    return _markdown(_COLUMNS, [*rows, total])


def times(results: list[TrialResult]) -> str:
    """Make the table of everything that was measured."""
    columns = ("trial", "what was measured", "n", "median", "95 %", "slowest", "allowed")
    rows = [_times_row(result, one) for result in results for one in result.times if one.seconds]
    return _markdown(columns, rows)


def kills(results: list[TrialResult]) -> str:
    """Say for each trial what was struck, how the orders ended at first, what else was seen."""
    lines = []
    for result in results:
        facts = [
            f"struck: {_counted(result.kills + result.others)}",
            f"answers to pushes: {_counted(result.book.answers)}",
            f"the slowest answer after {_seconds(result.book.slowest_answer_s)}",
            f"dead letters before the replay: {_counted(result.dead) or 'none'}",
            f"ledger and RQ differed in {len(result.disagreements)} of {result.looks} looks",
            *result.notes,
            f"took {result.took_s:.0f} s",
        ]
        lines.append(f"- **{result.name}**: {'; '.join(facts)}.")
    return "\n".join(lines)


def _row(result: TrialResult) -> tuple[object, ...]:
    return (
        result.name,
        result.orders,
        result.kills.total(),
        result.lost,
        result.dead.total(),
        result.run_again,
        result.acknowledged_twice,
        _seconds(result.slowest_s),
    )


def _times_row(result: TrialResult, one: Times) -> tuple[object, ...]:
    return (
        result.name,
        one.what,
        len(one.seconds),
        _seconds(one.quantile_s(0.5)),
        _seconds(one.quantile_s(0.95)),
        _seconds(one.slowest_s),
        _seconds(one.limit_s),
    )


def _markdown(columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _seconds(seconds: float | None) -> str:
    return _NONE if seconds is None else f"{seconds:.1f} s"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in counts.most_common())
