"""The tables, for the terminal and for docs/reports/simulation.md. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import dedent

from devtools.reporting.markdown import NONE, counted, duration, table
from devtools.simulation.klarna.model import QUOTA_PER_S
from devtools.simulation.result import ScenarioResult
from devtools.simulation.testbed import WORKERS
from devtools.simulation.traffic import RESEND_SAMPLE

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

_HEAD = dedent(
    """\
    # Scenarios

    Made by `make simulate` {provenance}; not edited by hand.

    Hours and days of trouble, played on a virtual clock: the program's own code in {workers}
    workers over a real Redis, against a model of Klarna that allows {quota} requests in any one
    second, counted as they arrive. One seed always plays the same."""
)

_MEANING = dedent(
    """\
    `lost` counts orders whose push was accepted and that are neither acknowledged at Klarna nor
    dead or waiting here. `charged` are the attempts that count towards giving an order up, unlike
    those that meet a paused account or a full quota. `optimum` is what the quota allows: each
    order takes two calls, and what is fresh meanwhile takes its share. `fresh p95` is the time
    from push to acknowledged that 95 % of the fresh orders do not exceed. `calls a minute` is the
    busiest minute while nothing could succeed. `alerts` would wake an operator. A goal is `not
    judged` when the run was too small for its number to say anything."""
)

_TAIL = dedent(
    """\
    ## What was played

    - A request takes 5 to 25 ms to Klarna and is answered after 50 to 250 ms more; a time-out takes
      10 s. Over the quota Klarna answers 429.
    - Orders come by chance, at the rate that is named. Klarna pushes again after 5, 15, 30 and 60
      minutes, then every 4 h, until the order is acknowledged. Of the orders that were accepted
      only one in {sample} is pushed again, as a sample; every one that was refused is.
    - In the calm week the workers' periodic tasks, such as queueing what is due again, are done
      ten times less often than in life.
    - In the calm week it is looked every five minutes what messages (NOTIFY_URLS) would tell,
      without their patience; but not for workers that are gone and for Redis's append-only file,
      for neither is simulated.
    - When a forged push is refused, the others of the same tenth of a second count as refused.

    ## What this does not show

    HTTP on either side, gunicorn, the time that Redis and the processors take: they are
    measured by `make bench`. Crashes, and a Redis that is away: `make chaos`. What expires in
    Redis does so by real time, later than in life, so Redis's memory is rather overstated; its
    append-only file is off.
    """
)


def page(results: Sequence[ScenarioResult], provenance: str) -> str:
    """Make the whole page; it names no hosts and no paths."""
    return "\n\n".join(
        [
            _HEAD.format(provenance=provenance, workers=WORKERS, quota=QUOTA_PER_S),
            overview(results),
            _MEANING,
            "## Goals",
            goals(results),
            "## Scenario by scenario",
            details(results),
            _TAIL.format(sample=RESEND_SAMPLE),
        ]
    )


def overview(results: Iterable[ScenarioResult]) -> str:
    """Make the table of what was measured, a row for each scenario."""
    return table(_COLUMNS, map(_row, results))


def goals(results: Iterable[ScenarioResult]) -> str:
    """Make the table of the goals and their verdicts."""
    rows = [(result.name, *goal.row) for result in results for goal in result.goals]
    return table(("scenario", "goal", "bound", "measured", "verdict"), rows, words=2)


def details(results: Iterable[ScenarioResult]) -> str:
    """Say for each scenario what was played and what else was seen."""
    return "\n".join(map(_details, results))


def _row(result: ScenarioResult) -> tuple[str, ...]:
    return (
        result.name,
        f"{result.orders:,}",
        f"{result.lost:,}",
        f"{result.dead.total():,}",
        f"{result.attempts_per_order:.2f}",
        f"{result.spent_per_order:.2f}",
        str(result.busiest_second),
        duration(result.drain_s),
        duration(result.optimum_s),
        f"{result.fresh_p95_s:.2f} s",
        NONE if result.calls_per_minute is None else str(result.calls_per_minute),
        str(result.alarms),
        f"{result.memory_bytes / 2**20:.0f} MB",
    )


def _details(result: ScenarioResult) -> str:
    facts = [
        f"fresh are {result.fresh}",
        f"{result.resent:,} pushes were re-sends, {result.refused:,} were refused",
        f"{result.requests:,} requests, answered {counted(result.answers)}",
        f"attempts charged to an order: {counted(_named(result.spent))}",
        f"dead: {counted(result.dead)}",
        *result.notes,
        *([f"faults of its own: {counted(result.faults)}"] if result.faults else []),
        f"{duration(result.played_s)} played in {duration(result.took_s)}",
    ]
    return f"- **{result.name}**: {result.description}. Seen: {'; '.join(facts)}."


def _named(spent: Mapping[int, int]) -> dict[str, int]:
    return {f"with {number}": spent[number] for number in sorted(spent)}
