# ruff: noqa: RUF001 - the sign for "times" is meant
"""What we promised ourselves, and whether the figures keep it. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from devtools.bench import intake, waiting, workers
from devtools.bench.figures import Figures, Key, Spread


class Verdict(StrEnum):
    """Whether a goal is met; the median decides."""

    MET = "met"
    MISSED = "**not met**"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Goal:
    """One promise: what is measured must be at least, or at most, `limit`."""

    text: str
    limit: float
    unit: str
    measured: Callable[[Figures], Spread | None]
    at_least: bool = True
    digits: int = 0

    @property
    def bound(self) -> str:
        """Write the limit for a table."""
        return f"{'≥' if self.at_least else '≤'} {self.limit:,g} {self.unit}"

    def judge(self, figures: Figures) -> Verdict:
        """Hold the median against the limit."""
        spread = self.measured(figures)
        if spread is None:
            return Verdict.UNKNOWN
        holds = spread.median >= self.limit if self.at_least else spread.median <= self.limit
        return Verdict.MET if holds else Verdict.MISSED


def _figure(subject: str, condition: str, figure: str) -> Callable[[Figures], Spread | None]:
    return lambda figures: figures.spread(Key(subject, condition, figure))


def _ratio(ours: Key, theirs: Key) -> Callable[[Figures], Spread | None]:
    return lambda figures: figures.ratio(ours, theirs)


def _rate(system: workers.System) -> Key:
    return Key(system.name, "50 ms", "acks_per_s")


_AGAINST_DRAMATIQ = _ratio(_rate(workers.OURS), _rate(workers.DRAMATIQ))
_INTAKE = Key(intake.OURS.name, "everysec", "full_per_s")
_STEADY = Key(intake.OURS.name, "always", "steady_p99_ms")

GOALS = (
    Goal("two workers: acknowledged/s against Dramatiq", 2, "×", _AGAINST_DRAMATIQ, digits=2),
    Goal("the same, the least", 1.5, "×", _AGAINST_DRAMATIQ, digits=2),
    Goal(
        "two workers: acknowledged/s against two of RQ's `Worker`",
        60,
        "×",
        _ratio(_rate(workers.OURS), _rate(workers.RQ_WORKER)),
    ),
    Goal("one worker alone: acknowledged/s", 300, "/s", _figure(*_rate(workers.OURS_ALONE))),
    Goal(
        "two workers: CPU for 1,000 acknowledgements",
        1.5,
        "s",
        _figure(workers.OURS.name, "50 ms", "cpu_s_per_1000"),
        at_least=False,
        digits=2,
    ),
    Goal(
        "two workers: peak memory of each",
        80,
        "MB",
        _figure(workers.OURS.name, "", "process_mb"),
        at_least=False,
    ),
    Goal(
        "intake: peak memory of each process",
        80,
        "MB",
        _figure(intake.OURS.name, "everysec", "process_mb"),
        at_least=False,
    ),
    Goal(
        "intake: requests/s against a bare Flask view",
        0.5,
        "×",
        _ratio(_INTAKE, Key(intake.FLASK.name, "", "full_per_s")),
        digits=2,
    ),
    Goal(
        "intake: requests/s against a bare `queue.enqueue` view",
        1.8,
        "×",
        _ratio(_INTAKE, _INTAKE._replace(subject=intake.ENQUEUE.name)),
        digits=2,
    ),
    Goal(
        "intake at a steady 300/s, AOF always: p99 against a bare Flask view's",
        2,
        "×",
        _ratio(_STEADY, Key(intake.FLASK.name, "", "steady_p99_ms")),
        at_least=False,
        digits=2,
    ),
    *(
        Goal(
            f"push accepted → acknowledged at a steady {rate}/s: {name}",
            limit,
            "ms",
            _figure("ours", f"{rate}/s", f"accepted_{name}_ms"),
            at_least=False,
            digits=1,
        )
        for rate, name, limit in (
            (waiting.STEADY_PER_S, "p50", 104),
            (waiting.STEADY_PER_S, "p99", 115),
            (waiting.FAST_PER_S, "p99", 150),
        )
    ),
    Goal(
        "memory of a waiting order in Redis, ledger included",
        2500,
        "bytes",
        _figure(workers.OURS.name, "", "bytes_per_waiting_order"),
        at_least=False,
    ),
)
