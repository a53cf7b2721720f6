"""The report: goals and times as Markdown. Pure; its prose is in report.md."""

from collections.abc import Sequence
from pathlib import Path
from string import Template

from devtools.bench.ops.reader import Took
from devtools.bench.ops.trial import PUSHES_PER_S, TrialFigures
from devtools.reporting.goals import Goal, GoalVerdict
from devtools.reporting.markdown import table
from devtools.reporting.numbers import percentile

_PAGE = Template(Path(__file__).with_suffix(".md").read_text(encoding="utf-8"))

# What an answer may take, and by how much the console may delay pushes.
_ANSWER_MS = 200
_DELAY_MS = 5
_P95 = 0.95
_P99 = 0.99


def goals(figures: TrialFigures, scale: float) -> list[Goal]:
    """List what is promised, each with what was measured."""
    is_whole = scale >= 1
    of_pages = [
        Goal(name, percentile(times, _P95), _ANSWER_MS, "ms", is_judged=is_whole)
        for name, times in figures.took_beside.ms.items()
    ]
    delay = percentile(figures.beside_ms, _P99) - percentile(figures.alone_ms, _P99)
    return [
        *of_pages,
        Goal("p99 of a push moves by", delay, _DELAY_MS, "ms", is_judged=is_whole),
        Goal("pushes that were not answered 200", figures.errors, 0),
    ]


def render(figures: TrialFigures, provenance: str, judged: Sequence[Goal]) -> str:
    """Write the whole report."""
    full, times = figures.full, figures.took_beside.ms
    verdicts = {goal.text: goal.verdict for goal in judged}
    slow = sorted(times, key=lambda name: percentile(times[name], _P95), reverse=True)
    met = sum(goal.verdict is GoalVerdict.MET for goal in judged)
    orders = full.dead + full.settled
    return _PAGE.substitute(
        provenance=provenance,
        dead=f"{full.dead:,}",
        settled=f"{full.settled:,}",
        accounts=f"{full.accounts:,}",
        pushes=PUSHES_PER_S,
        met=f"{met} of {len(judged)}",
        answers=f"{figures.took_beside.answers:,}",
        within=f"{_slowest(figures.took_within):.0f}",
        memory=f"{figures.memory_bytes / 1e9:,.2f} GB",
        search_index=f"{figures.search_index_bytes / orders:,.0f}",
        goals=table(
            ("Goal", "At most", "Measured", "Verdict"),
            [
                Goal(
                    "the slowest page, search or call: p95",
                    percentile(times[slow[0]], _P95),
                    _ANSWER_MS,
                    "ms",
                    is_judged=all(goal.is_judged for goal in judged),
                ).row,
                *(goal.row for goal in judged if goal.text not in times),
            ],
        ),
        pages=table(
            ("Page", "Asked", "p50", "p95", "p99", "Verdict"),
            [(name, *_row(times[name]), verdicts[name]) for name in slow],
        ),
        intake=table(
            ("Pushes", "Asked", "p50", "p95", "p99"),
            [
                ("nobody at the console", *_row(figures.alone_ms)),
                ("the console is read without a pause", *_row(figures.beside_ms)),
                ("and served by the process that takes the pushes", *_row(figures.within_ms)),
            ],
        ),
    )


def _slowest(took: Took) -> float:
    return max(percentile(times, _P95) for times in took.ms.values())


def _row(times: Sequence[float]) -> tuple[str, ...]:
    shares = (f"{percentile(times, share):.1f}" for share in (0.5, _P95, _P99))
    return f"{len(times):,}", *shares
