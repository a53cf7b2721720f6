"""The report: goals, figures and arithmetic as Markdown. Pure; its prose is in report.md."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from string import Template

from devtools.bench.figures import Figures, Key
from devtools.bench.shards import trial
from devtools.reporting.goals import Goal
from devtools.reporting.markdown import NONE, table
from devtools.reporting.run import cores

COUNTS = (1, 2, 4)

_PAGE = Template(Path(__file__).with_suffix(".md").read_text(encoding="utf-8"))
_SHOWN = (
    *(trial.PUSHES, trial.PUSHES_BUSY, trial.WEB_PER_PUSH, trial.REDIS_PER_PUSH),
    *(trial.ACKS, trial.ACKS_BUSY, trial.WORKER_PER_ACK, trial.REDIS_PER_ACK),
    *(trial.IDLE, trial.MEMORY),
)
# What a shard more may cost an order: less than the rounds of one differ.
_COSTS_MORE_PERCENT = 25

_MONTHLY = (1_000_000, 10_000_000, 100_000_000)
_S_PER_MONTH = 30 * 86_400
_PEAK = 10  # a good hour of a good day against the month's average
_PUSHES_EACH = 2  # Klarna repeats a push after five minutes; acknowledged by then, it does not
_BYTES_EACH = 1_500  # of a settled order; docs/operations.md says what of
_RETENTION_DAYS = (7, 30)
_SPARE = 1.7  # for rewriting the append-only file, and so that the alarm comes before the end
# Larger figures are shown without decimals.
_WHOLE = 20
_GB_EACH, _REDIS_SHARE = 64, 0.5  # how large one Redis is, and how busy it may be in the peak


def goals(figures: Figures, *, is_judged: bool) -> list[Goal]:
    """List what is promised of shards: that nothing is shared, so that none costs the others."""
    return [
        Goal(
            f"with {COUNTS[-1]} shards, more than with one: {figure}",
            _more_percent(figures, figure),
            _COSTS_MORE_PERCENT,
            "%",
            is_judged=is_judged,
        )
        for figure in (trial.WEB_PER_PUSH, trial.WORKER_PER_ACK, trial.REDIS_PER_PUSH)
    ]


def render(figures: Figures, provenance: str, judged: Sequence[Goal]) -> str:
    """Write the whole report."""
    return _PAGE.substitute(
        provenance=provenance,
        cores=cores(),
        goals=table(("Goal", "At most", "Measured", "Verdict"), [goal.row for goal in judged]),
        measured=table(
            ("shards", *map(str, COUNTS)),
            [
                [figure, *(_shown(figures, Key("ours", str(count), figure)) for count in COUNTS)]
                for figure in _SHOWN
            ],
        ),
        arithmetic=_arithmetic(figures),
        peak=_PEAK,
        pushes_each=_PUSHES_EACH,
        bytes_each=f"{_BYTES_EACH:,}",
        share=f"{_REDIS_SHARE:.0%}",
        gigabytes=_GB_EACH,
    )


def _arithmetic(figures: Figures) -> str:
    """Say what so many orders a month need, from the CPU that each costs with one shard."""
    costs_ms = {figure: _median(figures, figure) for figure in _SHOWN}
    head = (
        *("orders a month", "a second, average", "in the peak", "cores: web", "cores: workers"),
        *("cores: Redis", *(f"GB of Redis, {days} days" for days in _RETENTION_DAYS)),
        *(f"shards, {days} days" for days in _RETENTION_DAYS),
    )
    rows = []
    for monthly in _MONTHLY:
        peak = monthly / _S_PER_MONTH * _PEAK
        redis_ms = _PUSHES_EACH * costs_ms[trial.REDIS_PER_PUSH] + costs_ms[trial.REDIS_PER_ACK]
        redis_cores = peak * redis_ms / 1000
        gigabytes = [monthly * days / 30 * _BYTES_EACH * _SPARE / 1e9 for days in _RETENTION_DAYS]
        by_cpu = redis_cores / _REDIS_SHARE
        rows.append(
            (
                f"{monthly:,}",
                f"{monthly / _S_PER_MONTH:,.1f}",
                f"{peak:,.0f}",
                f"{peak * _PUSHES_EACH * costs_ms[trial.WEB_PER_PUSH] / 1000:.2f}",
                f"{peak * costs_ms[trial.WORKER_PER_ACK] / 1000:.2f}",
                f"{redis_cores:.2f}",
                *(f"{one:,.1f}" for one in gigabytes),
                *(str(ceil(max(by_cpu, one / _GB_EACH))) for one in gigabytes),
            )
        )
    return table(head, rows)


def _median(figures: Figures, figure: str) -> float:
    spread = figures.spread(Key("ours", str(COUNTS[0]), figure))
    return spread.median if spread else 0.0


def _more_percent(figures: Figures, figure: str) -> float | None:
    most, one = (Key("ours", str(count), figure) for count in (COUNTS[-1], COUNTS[0]))
    ratio = figures.ratio(most, one)
    return (ratio.median - 1) * 100 if ratio else None


def _shown(figures: Figures, key: Key) -> str:
    spread = figures.spread(key)
    if spread is None:
        return NONE
    return spread.shown(0 if spread.median >= _WHOLE else 2)
