"""What came of many orders: each of a few, the totals of many, all of them as JSON."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypedDict

import click

from cli import output
from cli.arguments.order_files import BadLine
from cli.exits import Refused
from pushes.model import Push
from pushes.operate.batch import BatchStep
from pushes.read import views

# More rows than this nobody reads; --json has them all.
_ROWS_SHOWN = 50

# The first ones show what is wrong with all.
_FAULTS_SHOWN = 10


class ActedOn(views.Brief):
    """An order, its state afterwards, and what came of it in a word."""

    result: str


class RefusedOrder(TypedDict):
    """An order that was left as it is, and why."""

    order_id: str
    account: str
    detail: str


class BatchReport:
    """Collects what came of each order, and tells it; `notes` say more of some results."""

    def __init__(
        self,
        *,
        as_json: bool,
        participle: str,
        nothing: str,
        notes: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._as_json = as_json
        self._participle = participle
        self._nothing = nothing
        self._notes = notes
        self._results: Counter[str] = Counter()
        self._items: list[ActedOn] = []
        self._refused: list[RefusedOrder] = []
        self._bad_lines: list[BadLine] | None = None

    @property
    def done(self) -> int:
        """How many orders it was done to."""
        return len(self._items)

    @property
    def reached(self) -> int:
        """How many orders it was done to, or refused."""
        return len(self._items) + len(self._refused)

    def add(self, step: BatchStep) -> None:
        """Note what came of one order."""
        if step.push is not None:
            result = _result(step.push)
            self._results[result] += 1
            self._items.append({**views.brief(step.push), "result": result})
        else:
            detail = step.refused or ""
            key = step.key
            self._refused.append(
                {"order_id": key.order_id, "account": key.account, "detail": detail}
            )

    def add_bad_lines(self, lines: list[BadLine]) -> None:
        """Note the lines of a file that name no order."""
        self._bad_lines = lines

    def tell(self, *, dry_run: bool = False) -> None:
        """Print what was done to whom, or would be."""
        if self._as_json:
            told: dict[str, object] = {"items": self._items, "refused": self._refused}
            if self._bad_lines is not None:
                told["bad_lines"] = self._bad_lines
            output.emit_json(told)
            return
        shown: list[output.Block] = []
        if self._items and len(self._items) <= _ROWS_SHOWN:
            rows = [(item["order_id"], item["account"], item["result"]) for item in self._items]
            shown.append(output.Table(("order_id", "account", "result"), rows))
        output.emit(*shown, self._totals(dry_run=dry_run))
        faults = [refusal["detail"] for refusal in self._refused]
        faults += [bad["detail"] for bad in self._bad_lines or []]
        _tell_first(faults)
        for result, note in self._notes.items():
            if self._results[result]:
                click.echo(note, err=True)

    def check(self) -> None:
        """Raise Refused when anything was refused or could not be read."""
        left = len(self._refused) + len(self._bad_lines or [])
        if left:
            raise Refused(f"{left:,} of {left + self.done:,} were refused.")

    def _totals(self, *, dry_run: bool) -> str:
        if dry_run:
            counted = [f"{self.done:,} would be {self._participle}"]
        else:
            counted = [f"{count:,} {result}" for result, count in self._results.most_common()]
        counted += [f"{len(self._refused):,} refused"] if self._refused else []
        counted += [f"{len(self._bad_lines):,} lines name no order"] if self._bad_lines else []
        if not self.reached and not self._bad_lines:
            return self._nothing
        return f"{', '.join(counted)}{'; nothing was changed' if dry_run else ''}."


def _result(push: Push) -> str:
    return "discarded" if push.discarded else str(push.state)


def _tell_first(faults: list[str]) -> None:
    for fault in faults[:_FAULTS_SHOWN]:
        click.echo(output.safe(fault), err=True)
    more = len(faults) - _FAULTS_SHOWN
    if more > 0:
        click.echo(f"… and {more:,} more; --json lists them all.", err=True)
