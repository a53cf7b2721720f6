"""docs/reports/chaos.md: the tables, and what they mean. Pure; names neither hosts nor paths."""

from textwrap import dedent

from devtools.chaos import report
from devtools.chaos.result import TrialResult

_HEAD = dedent(
    """\
    # Chaos

    Made by `make chaos` on {date} with `{command}`, on {machine}; not edited by hand.

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
    Sentinel failovers, networks that split, clocks that disagree, several machines. The lease of
    another machine's worker is stood in for by a frozen process: only its lease tells.
    """
)


def document(results: list[TrialResult], command: str, machine: list[str], date: str) -> str:
    """Make the whole page."""
    broken = [f"- {line}" for result in results for line in result.broken]
    head = _HEAD.format(date=date, command=command, machine=", ".join(machine))
    return "\n\n".join(
        [
            head,
            report.table(results),
            "Broken invariants: " + ("\n\n" + "\n".join(broken) if broken else "none."),
            "## Times",
            report.times(results),
            "## Trial by trial",
            report.kills(results),
            _TAIL,
        ]
    )
