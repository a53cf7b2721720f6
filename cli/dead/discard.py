"""`klarna-ack dead discard`: put dead letters away for good, or say which would be.

Refused, order by order: what is not dead.
"""

import click

from cli.dead import act
from cli.dead.act import Decision
from cli.dead.selection import Selection, selected
from pushes.operate import replay
from pushes.operate.batch import Operator


@click.command()
@selected
@act.decided
def discard(  # noqa: PLR0913 - one parameter an option
    *, selection: Selection, rate: float | None, dry_run: bool, why: str, by: str, as_json: bool
) -> None:
    """Put dead letters away for good.

    They leave the list, and later pushes of these orders are counted but do not revive them.
    Replay one by its id to take that back. A push that is not dead is refused and left as it is.
    With --all a bulk run does it, which `klarna-ack run undo` takes back within a day.
    """
    operator = Operator(by, "discard", why)
    act.on(selection, replay.discard, Decision(operator, "discarded", rate, dry_run, as_json))
