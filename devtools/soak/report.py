"""The goals and tables, for the terminal and for docs/reports/soak.md. Pure."""

from collections.abc import Callable, Sequence
from statistics import median
from textwrap import dedent

from devtools.reporting.goals import Bound, Goal
from devtools.reporting.markdown import counted, duration, table
from devtools.soak.running import SoakResult
from devtools.soak.samples import Sample
from devtools.soak.timetable import Deed

_HEAD = dedent(
    """\
    # Soak

    Made by `make soak` {provenance}; not edited by hand.

    {load} of steady load over two web processes and three workers. {pushes:,} orders were pushed
    and {accepted:,} answered 200; meanwhile {deeds}. Killed: {kills}. What is settled is kept for
    {retention} instead of days, so that as much expires as comes in. The first web process and the
    first worker were never killed: they are what is measured. `grew` holds the median of the last
    third of the load against that of the third before; a goal is `not judged` when the run was too
    short for that."""
)

_TAIL = dedent(
    """\
    ## What was done

    - Pushes come evenly. A tenth are pushed by the sandbox, on a schedule of seconds, until they
      are acknowledged; some orders are cancelled, some unknown to Klarna, some not yet visible.
    - Klarna answers late, badly, not at all, or with 4xx and 5xx to about one call in five; now and
      then it refuses the account, which is held until it passes again.
    - An operator replays each dead letter once, and discards what died anew. `/metrics` is read
      with each sample.
    - When the load was over, all orders had to come to an end; then nothing more was pushed until
      what was settled had expired, and the keys that were still about an order were counted.

    ## What this does not show

    More than this half hour: what grows by less than a goal allows shows after days only. The
    memory of Redis's machine: `used` is what Redis counts, without fragmentation.
    """
)

# What may differ between two thirds of a run although nothing grows, in percent.
_MEMORY_PERCENT, _REDIS_PERCENT, _KEYS_PERCENT, _LOG_PERCENT = 5.0, 10.0, 10.0, 25.0
# A connection to Klarna for each attempt that was ever made at a time, 128; Redis and logs besides.
_MOST_FILES = 128 + 32
_FEW_FILES = 4.0  # a connection more or less, of a pool that opens them as needed
# What is less than that differs by chance.
_MANY_KEYS, _MUCH_BYTES = 200, 100_000
_FAMILY_PERCENT = 25.0

_Measure = Callable[[Sample], float]


def _worker_mb(sample: Sample) -> float:
    return sample.worker.memory_mb


def _web_mb(sample: Sample) -> float:
    return sample.web.memory_mb


def goals(result: SoakResult) -> list[Goal]:
    """List what the run must show, each with what was measured."""
    middle, last = thirds(result)
    judged = result.scale.is_judged

    def grew(measure: _Measure) -> float | None:
        if not middle or not last:
            return None
        before = _typical(middle, measure)
        return (_typical(last, measure) / before - 1) * 100 if before else 0.0

    def more(measure: _Measure) -> float | None:
        return _typical(last, measure) - _typical(middle, measure) if middle and last else None

    def percent(text: str, measured: float | None, limit: float) -> Goal:
        return Goal(text, measured, limit, "%", is_judged=judged)

    logs = _log_per_push(middle), _log_per_push(last)
    log_grew = (logs[1] / logs[0] - 1) * 100 if logs[0] and logs[1] else None
    return [
        Goal("pushes answered 200 and lost", result.trial.lost, 0, bound=Bound.EXACTLY),
        Goal("broken invariants", len(result.trial.broken), 0, bound=Bound.EXACTLY),
        percent("the worker's memory grew", grew(_worker_mb), _MEMORY_PERCENT),
        percent("the web process's memory grew", grew(_web_mb), _MEMORY_PERCENT),
        Goal(
            "file descriptors of the worker, at most",
            max((one.worker.files for one in result.samples), default=None),
            _MOST_FILES,
            is_judged=judged,
        ),
        *(
            Goal(text, more(measure), _FEW_FILES, is_judged=judged)
            for text, measure in (
                ("file descriptors of the web process, more", lambda one: one.web.files),
                ("threads of the worker, more", lambda one: one.worker.threads),
                ("threads of the web process, more", lambda one: one.web.threads),
            )
        ),
        percent("Redis's memory grew", grew(lambda one: one.redis_mb), _REDIS_PERCENT),
        percent("its keys grew", grew(lambda one: one.keys.total()), _KEYS_PERCENT),
        Goal(
            f"kinds of keys that grew by more than {_FAMILY_PERCENT:g} %",
            len(growing(result)),
            0,
            bound=Bound.EXACTLY,
            is_judged=judged,
        ),
        percent("what is logged for a push grew", log_grew, _LOG_PERCENT),
        Goal(
            "keys of orders when all had expired",
            len(result.left),
            0,
            bound=Bound.EXACTLY,
            is_judged=bool(result.scale.drain_s),
        ),
    ]


def page(result: SoakResult, provenance: str) -> str:
    """Make the whole page; it names no hosts and no paths."""
    scale, trial = result.scale, result.trial
    head = _HEAD.format(
        provenance=provenance,
        load=duration(scale.load_s),
        pushes=len(trial.sender_log.first_sent),
        accepted=trial.accepted,
        deeds=counted(
            {
                "floods": result.deeds[Deed.FLOOD],
                "refusals of the account": result.deeds[Deed.REFUSE],
                "dead letters replayed": result.replayed,
                "discarded": result.discarded,
            }
        ),
        kills=counted(trial.kills),
        retention=duration(scale.retention_s),
    )
    grew = growing(result) if scale.is_judged else []
    found = [*trial.broken, *(f"left: {key}" for key in result.left)]
    found = [f"- {line}" for line in [*found, *(f"grew: {name}" for name in grew)]]
    return "\n\n".join(
        [
            head,
            table(("Goal", "At most", "Measured", "Verdict"), [goal.row for goal in goals(result)]),
            "Found: " + ("\n\n" + "\n".join(found[:50]) if found else "nothing that is not meant."),
            "## Over time",
            over_time(result),
            "## Redis's keys",
            families(result),
            _answers(result),
            _TAIL,
        ]
    )


def over_time(result: SoakResult) -> str:
    """Make the table of what was measured, a row for each tenth of the load."""
    columns = (
        *("minute", "accepted", "worker MB", "files", "threads", "web MB", "files", "threads"),
        *("Redis MB", "keys", "log of both, MB"),
    )
    return table(columns, map(_row, _parts(result, 10)))


def _row(part: list[Sample]) -> tuple[str, ...]:
    def shown(measure: _Measure, digits: int = 0) -> str:
        return f"{_typical(part, measure):,.{digits}f}"

    end = part[-1]
    return (
        f"{end.at_s / 60:.1f}",
        f"{end.accepted:,}",
        shown(_worker_mb, 1),
        shown(lambda one: one.worker.files),
        shown(lambda one: one.worker.threads),
        shown(_web_mb, 1),
        shown(lambda one: one.web.files),
        shown(lambda one: one.web.threads),
        shown(lambda one: one.redis_mb, 1),
        shown(lambda one: one.keys.total()),
        f"{(end.worker.log_bytes + end.web.log_bytes) / 1e6:.1f}",
    )


def _answers(result: SoakResult) -> str:
    log = result.trial.sender_log
    return (
        f"Answers to pushes: {counted(log.answers)}; the slowest after"
        f" {log.slowest_answer_s:.1f} s. The run took {duration(result.took_s)}."
    )


def families(result: SoakResult) -> str:
    """Make the table of keys by what they are for, in both thirds."""
    middle, last = thirds(result)
    names = sorted({name for sample in [*middle, *last] for name in sample.keys})

    def row(name: str) -> tuple[str, ...]:
        kept = (_typical(part, lambda one: one.keys[name]) for part in (middle, last))
        at_end = result.samples[-1].keys[name], result.samples[-1].bytes_of[name] / 1000
        kilobytes = (
            _typical(part, lambda one: one.bytes_of[name]) / 1000 for part in (middle, last)
        )
        return (
            f"`{name}`",
            *(f"{n:,.0f}" for n in kept),
            *(f"{n:,.1f}" for n in kilobytes),
            *(f"{n:,.0f}" for n in at_end),
        )

    return table(
        (
            "keys",
            "before",
            "last third",
            "kB before",
            "kB last third",
            "at the end",
            "kB at the end",
        ),
        map(row, names),
    )


def growing(result: SoakResult) -> list[str]:
    """Name the kinds of keys of which there are many, or which are large, and that grow."""
    middle, last = thirds(result)
    if not middle or not last:
        return []

    def grows(of: Callable[[Sample], int], much: int) -> bool:
        limit = _typical(middle, of) * (1 + _FAMILY_PERCENT / 100)
        return _typical(last, of) > max(much, limit)

    def is_growing(name: str) -> bool:
        in_number = grows(lambda one: one.keys[name], _MANY_KEYS)
        return in_number or grows(lambda one: one.bytes_of[name], _MUCH_BYTES)

    return sorted(filter(is_growing, {name for sample in last for name in sample.keys}))


def thirds(result: SoakResult) -> tuple[list[Sample], list[Sample]]:
    """Return the samples of the middle third of the load, and of the last."""
    third = result.scale.load_s / 3
    return (
        [one for one in result.samples if third <= one.at_s < 2 * third],
        [one for one in result.samples if 2 * third <= one.at_s < 3 * third],
    )


def _parts(result: SoakResult, count: int) -> list[list[Sample]]:
    each = result.scale.load_s / count
    parts = (
        [one for one in result.samples if n * each <= one.at_s < (n + 1) * each]
        for n in range(count)
    )
    return [part for part in parts if part]


def _typical(samples: Sequence[Sample], measure: _Measure) -> float:
    return median(map(measure, samples)) if samples else 0.0


def _log_per_push(samples: Sequence[Sample]) -> float | None:
    """Return the bytes that both have logged for each accepted push; None without any."""
    if not samples or samples[-1].accepted == samples[0].accepted:
        return None
    first, last = samples[0], samples[-1]
    logged = (last.worker.log_bytes + last.web.log_bytes) - (
        first.worker.log_bytes + first.web.log_bytes
    )
    return logged / (last.accepted - first.accepted)
