"""docs/reports/simulation.md: the tables and their meaning. Pure; names no hosts or paths."""

from textwrap import dedent

from devtools.simulation import report
from devtools.simulation.klarna import QUOTA_PER_S
from devtools.simulation.result import ScenarioResult
from devtools.simulation.stage import WORKERS
from devtools.simulation.traffic import RESEND_SAMPLE

_HEAD = dedent(
    """\
    # Scenarios

    Made by `make simulate` on {date} with `{command}`, on {machine}; not edited by hand.

    Hours and days of trouble, played on a virtual clock: the program's own code in {workers}
    workers over a real Redis, against a model of Klarna that allows {quota} requests in any one
    second, counted as they arrive. One seed always plays the same course."""
)

_MEANING = dedent(
    """\
    `lost` counts orders whose push was accepted and that are neither acknowledged at Klarna nor
    dead or waiting here. `charged` are the attempts that count towards giving an order up, unlike
    those that meet a paused account or a full quota. `optimum` is what the quota allows: each
    order takes two calls, and what is fresh meanwhile takes its share. `fresh p95` is the time
    from push to acknowledged that 95 % of the fresh orders do not exceed. `calls a minute` is the
    busiest minute while nothing could succeed. `alerts` would wake an operator."""
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
    - When a forged push is refused, the others of the same tenth of a second count as refused.

    ## What this does not show

    HTTP on either side, gunicorn, the time that Redis and the processors take: they are
    measured by `make bench`. Crashes, and a Redis that is away: `make chaos`. What expires in
    Redis does so by real time, later than in life, so Redis's memory is rather overstated; its
    append-only file is off.
    """
)


def document(results: list[ScenarioResult], command: str, machine: list[str], date: str) -> str:
    """Make the whole page."""
    head = _HEAD.format(
        date=date,
        command=command,
        machine=", ".join(machine),
        workers=WORKERS,
        quota=QUOTA_PER_S,
    )
    return "\n\n".join(
        [
            head,
            report.table(results),
            _MEANING,
            "## Goals",
            report.goals(results),
            "## Scenario by scenario",
            report.courses(results),
            _TAIL.format(sample=RESEND_SAMPLE),
        ]
    )
