"""What is told of a reconciliation: what needs somebody, the totals, or all of it as JSON."""

from collections import Counter
from collections.abc import Sequence

import click

from cli import output
from cli.arguments.order_files import BadLine
from cli.exits import Refused
from cli.reconcile.findings import Finding, Reconciled

# More rows than this nobody reads; --json has them all.
_ROWS_SHOWN = 50
_FAULTS_SHOWN = 10


def tell(found: Sequence[Reconciled], bad_lines: Sequence[BadLine], *, as_json: bool) -> None:
    """Print what was found. Raises Refused when something could not be found out."""
    counted = Counter(order.finding for order in found)
    totals = {finding: counted[finding] for finding in Finding}
    if as_json:
        output.emit_json(
            {
                "items": [order.view() for order in found],
                "totals": {str(finding): count for finding, count in totals.items()},
                "bad_lines": list(bad_lines),
            }
        )
    else:
        _tell_people(found, totals, bad_lines)
    not_told = totals[Finding.NOT_TOLD]
    if not_told or bad_lines:
        left = f"{not_told:,} orders could not be told" if not_told else ""
        wrong = f"{len(bad_lines):,} lines name no order" if bad_lines else ""
        raise Refused(f"{'; '.join(filter(None, (left, wrong)))}. All others are told.")


def _tell_people(
    found: Sequence[Reconciled], totals: dict[Finding, int], bad_lines: Sequence[BadLine]
) -> None:
    pressing = list(Finding)
    listed = sorted(
        (order for order in found if order.finding.is_news),
        key=lambda order: pressing.index(order.finding),
    )
    shown: list[output.Block] = []
    if listed:
        shown.append(_table(listed[:_ROWS_SHOWN]))
    if len(listed) > _ROWS_SHOWN:
        shown.append(f"… and {len(listed) - _ROWS_SHOWN:,} more; --json lists them all.")
    counts = [f"{count:,} {_words(finding)}" for finding, count in totals.items() if count]
    queued = sum(order.queued for order in found)
    counts += [f"of these {queued:,} were queued"] if queued else []
    shown.append(f"{', '.join(counts)}." if counts else "The file names no order.")
    shown += [
        f"{_words(finding).capitalize()}: {finding.remedy}"
        for finding, count in totals.items()
        if finding.remedy and count and not (finding is Finding.NEVER_HEARD_OF and queued)
    ]
    output.emit(*shown)
    for bad in bad_lines[:_FAULTS_SHOWN]:
        click.echo(output.safe(bad["detail"]), err=True)
    if len(bad_lines) > _FAULTS_SHOWN:
        click.echo(f"… and {len(bad_lines) - _FAULTS_SHOWN:,} more; --json lists them.", err=True)


def _table(orders: Sequence[Reconciled]) -> output.Table:
    headers = ("order_id", "finding", "state", "reason", "at_klarna", "queued", "detail")
    rows = [
        (
            order.key.order_id,
            order.finding,
            str(order.push.state) if order.push else None,
            str(order.push.reason) if order.push and order.push.reason else None,
            order.klarna_status,
            "yes" if order.queued else None,
            order.detail,
        )
        for order in orders
    ]
    return output.Table(headers, rows, prose="detail")


def _words(finding: Finding) -> str:
    return str(finding).replace("_", " ")
