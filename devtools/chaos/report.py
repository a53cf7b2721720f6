"""The tables, for the terminal and for docs/reports/chaos.md. Pure."""

from textwrap import dedent

from devtools.chaos.result import Times, TrialResult
from devtools.reporting.markdown import NONE, counted, table
from devtools.reporting.numbers import percentile

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

_HEAD = dedent(
    """\
    # Chaos

    Made by `make chaos` {provenance}; not edited by hand.

    Every order is pushed until it is answered 200, and then never again; a tenth are pushed by the
    sandbox, on a schedule of seconds, until acknowledged. Meanwhile processes are killed with
    SIGKILL. `lost` counts pushes that were answered 200 and are neither acknowledged at Klarna nor
    dead with a reason. `dead at first` counts the dead letters when all had become quiet; an
    operator then replayed them all, and each order had to come to its proper end. `run again`
    counts attempts that were put back because their worker had died or was silent.

    `acknowledged twice` counts orders whose acknowledge took effect more than once at Klarna.
    While Klarna is well there must be none, as in the last three trials. In the others Klarna
    contradicts itself: when the answer to an acknowledge was lost and a later call is answered
    404 or refused, the next acknowledge carries a new idempotency key
    ([ADR 9](../adr/0009-idempotency-keys.md))."""
)

_TAIL = dedent(
    """\
    ## What was checked

    In each trial twice, when nothing waited any more and again after the replay; from the sender's
    and the sandbox's own records, but for the reason of a dead letter:

    1. Every push answered 200 is acknowledged, or not needed, or dead with a reason.
    2. No acknowledge without a GET of its own before it that showed the order.
    3. The ledger says acknowledged only where the sandbox saw it.
    4. The ledger, RQ's registries and `/metrics` of each web process count the same; ledger and
       RQ also five times a second while everything is being killed.
    5. Of what never expires, Redis holds nothing but indexes, counters, RQ's own sets and dead
       letters.
    6. After the replay each order has the end that it must have: open ones are acknowledged, the
       others not needed, or dead with the reason that fits.
    7. No process ended by itself, none logged a fault of its own, and no push was answered other
       than 200 or 503.

    ## What this does not show

    A crash of the machine under Redis, or of its disk: after SIGKILL of Redis alone the kernel
    still holds what was written, so `everysec` loses nothing here and may lose two seconds there.
    A busy disk: with `everysec` Redis holds back what it would write while a sync is under way,
    for two seconds at most, and a SIGKILL then loses that.
    Sentinel failovers, networks that split, clocks that disagree, several machines. The lease of
    another machine's worker is stood in for by a frozen process: only its lease tells.
    """
)


def page(results: list[TrialResult], provenance: str) -> str:
    """Make the whole page; it names no hosts and no paths."""
    broken = [f"- {line}" for result in results for line in result.broken]
    return "\n\n".join(
        [
            _HEAD.format(provenance=provenance),
            overview(results),
            "Broken invariants: " + ("\n\n" + "\n".join(broken) if broken else "none."),
            "## Times",
            times(results),
            "## Trial by trial",
            details(results),
            _TAIL,
        ]
    )


def overview(results: list[TrialResult]) -> str:
    """Make the table of the trials: a row for each, and their sum."""
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
    return table(_COLUMNS, [*map(_row, results), total])


def times(results: list[TrialResult]) -> str:
    """Make the table of everything that was measured."""
    columns = ("trial", "what was measured", "n", "median", "95 %", "slowest", "allowed")
    rows = [_times_row(result, one) for result in results for one in result.times if one.seconds]
    return table(columns, rows, words=2)


def details(results: list[TrialResult]) -> str:
    """Say for each trial what was killed, how the orders ended at first, what else was seen."""
    lines = []
    for result in results:
        facts = [
            f"killed or restarted: {counted(result.kills + result.others)}",
            f"answers to pushes: {counted(result.sender_log.answers)}",
            f"the slowest answer after {_seconds(result.sender_log.slowest_answer_s)}",
            f"dead letters before the replay: {counted(result.dead)}",
            f"ledger and RQ differed {len(result.disagreements)} times in {result.comparisons}",
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
        _seconds(percentile(one.seconds, 0.5)),
        _seconds(percentile(one.seconds, 0.95)),
        _seconds(one.slowest_s),
        _seconds(one.limit_s),
    )


def _seconds(seconds: float | None) -> str:
    return NONE if seconds is None else f"{seconds:.1f} s"
