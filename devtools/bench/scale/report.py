"""The report: goals and figures as Markdown. Pure; its prose is in report.md."""

from collections.abc import Sequence
from pathlib import Path
from string import Template

from devtools.bench.figures import Figures, Key
from devtools.bench.scale import costs, worker
from devtools.reporting.goals import Goal
from devtools.reporting.markdown import NONE, table

MANY = "5,000"
_FEW = "1"
_MOST_WAITING = "1,000,000"

_PAGE = Template(Path(__file__).with_suffix(".md").read_text(encoding="utf-8"))

_OF_ACCOUNTS = (
    *(costs.IDLE_CLAIM, costs.BUSY_CLAIM, costs.IDLE_RELEASE, costs.HELD_RELEASE, costs.RECOVERY),
    *(costs.METRICS, costs.DEAD_PAGE, costs.DEAD_PAGE_OF_REASON),
    *(worker.START, worker.THREADS, worker.MEMORY, worker.IDLE_CPU),
    *(worker.TYPICAL_WAIT, worker.LONG_WAIT),
)
_OF_WAITING = (costs.WAITING_CLAIM, costs.WAITING_CLAIM_AT_WORST, costs.LISTED)


def goals(figures: Figures, concurrency: int) -> list[Goal]:
    """List what is promised, each with what was measured."""

    def of(figure: str, condition: str = MANY) -> float | None:
        spread = figures.spread(Key("ours", condition, figure))
        return spread.median if spread else None

    many, few = of(worker.TYPICAL_WAIT), of(worker.TYPICAL_WAIT, _FEW)
    longer = many - few if many is not None and few is not None else None
    return [
        Goal("a claim that finds nothing holds Redis", of(costs.IDLE_CLAIM), 0.5, "ms"),
        Goal("a page of dead letters", of(costs.DEAD_PAGE), 100, "ms"),
        Goal("an idle worker uses of a core", of(worker.IDLE_CPU), 3, "%"),
        Goal("push to acknowledged, more than with one account", longer, 10, "ms"),
        Goal("a worker starts within", of(worker.START), 2, "s"),
        Goal("its threads", of(worker.THREADS), concurrency + 20),
        Goal("its memory", of(worker.MEMORY), 100, "MB"),
        Goal(
            f"a claim of 32 holds Redis, with {_MOST_WAITING} waiting",
            of(costs.WAITING_CLAIM, _MOST_WAITING),
            5,
            "ms",
        ),
    ]


def render(
    figures: Figures,
    provenance: str,
    judged: Sequence[Goal],
    accounts: Sequence[int],
    waiting: Sequence[int],
) -> str:
    """Write the whole report; `accounts` and `waiting` are the columns of the two tables."""
    return _PAGE.substitute(
        provenance=provenance,
        many=MANY,
        goals=table(("Goal", "At most", "Measured", "Verdict"), [goal.row for goal in judged]),
        accounts=_table("accounts", accounts, _OF_ACCOUNTS, figures),
        waiting=_table("waiting", waiting, _OF_WAITING, figures),
    )


def _table(what: str, counts: Sequence[int], shown: Sequence[str], figures: Figures) -> str:
    head = [what, *(f"{count:,}" for count in counts)]
    rows = [
        [figure, *(_shown(figures, Key("ours", f"{count:,}", figure)) for count in counts)]
        for figure in shown
    ]
    return table(head, rows)


def _shown(figures: Figures, key: Key) -> str:
    spread = figures.spread(key)
    return f"{spread.median:,.3g}" if spread else NONE
