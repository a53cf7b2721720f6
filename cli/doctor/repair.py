"""`klarna-ack repair`: hold all that stands in Redis against the records, and mend what differs."""

import time
from collections import Counter
from datetime import UTC, datetime

import click

from cli import output
from cli.arguments import options
from cli.context import opened
from pushes.store.ledger import Ledger
from pushes.store.repair.differences import Difference, DifferenceKind
from pushes.store.repair.sweep import Sweep

# A job that stands nowhere may be on its way from one place to the other: then it has arrived.
_ON_ITS_WAY_S = 1.0

_LISTED = 10


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be mended; change nothing.")
@options.as_json
def repair(*, dry_run: bool, as_json: bool) -> None:
    """Hold what Redis has against the records, and mend it.

    That is the indexes, RQ's registries and the jobs. A record that cannot be read becomes a dead
    letter, a key of a wrong type is set aside. It is done in small steps, and everything else goes
    on meanwhile. The workers do the same by themselves, and take their time.
    """
    with opened() as context:
        found = _sweep(context.ledger, dry_run=dry_run)
    if as_json:
        output.emit_json(_view(found, dry_run=dry_run))
    else:
        output.emit(*_blocks(found, dry_run=dry_run))


def _sweep(ledger: Ledger, *, dry_run: bool) -> list[Difference]:
    """Go round once; once more when a key was set aside, whose members the records know."""
    found = _one_round(ledger, dry_run=dry_run)
    if not dry_run and any(one.kind is DifferenceKind.WRONG_TYPE for one in found):
        found += _one_round(ledger, dry_run=dry_run)
    return list(dict.fromkeys(found))  # a dry run meets the same on more than one way


def _one_round(ledger: Ledger, *, dry_run: bool) -> list[Difference]:
    sweep = Sweep(ledger, dry_run=dry_run)
    found: list[Difference] = []
    while not sweep.is_round_over:
        found += sweep.step(datetime.now(UTC))
    time.sleep(_ON_ITS_WAY_S)
    return found + sweep.finish(datetime.now(UTC))


def _view(found: list[Difference], *, dry_run: bool) -> dict[str, object]:
    count = Counter(one.kind for one in found)
    return {
        "dry_run": dry_run,
        "found": {str(kind): count[kind] for kind in DifferenceKind},
        "items": [
            {
                "kind": str(one.kind),
                "place": one.place,
                "order_id": one.key.order_id if one.key else None,
                "account": one.key.account if one.key else None,
            }
            for one in found
        ],
    }


def _blocks(found: list[Difference], *, dry_run: bool) -> list[output.Block]:
    if not found:
        return ["Everything agrees. Nothing was changed."]
    count = Counter(one.kind for one in found)
    rows = [(str(kind), count[kind], kind.sentence) for kind in DifferenceKind if count[kind]]
    more = len(found) - _LISTED
    shown: list[output.Block] = [
        output.Table(("found", "how many", "meaning"), rows, prose="meaning"),
        *(str(one) for one in found[:_LISTED]),
    ]
    if more > 0:
        shown.append(f"… and {more} more; --json lists all.")
    shown.append(
        "Nothing was changed." if dry_run else "All of it is mended, unless the log says otherwise."
    )
    return shown
