"""`klarna-ack dead replay`: give dead letters fresh attempts, or say which would get them.

Refused, order by order: what is not dead.
"""

import click

from cli.dead import act
from cli.dead.act import Decision
from cli.dead.selection import Selection, selected
from pushes.operate import replay
from pushes.operate.batch import Operator


@click.command("replay")
@selected
@act.decided
def replay_dead(  # noqa: PLR0913 - one parameter an option
    *, selection: Selection, rate: float | None, dry_run: bool, why: str, by: str, as_json: bool
) -> None:
    """Queue dead letters again, with fresh attempts.

    Name the orders: a push that is not dead is refused and left as it is. Or give --all with
    filters: then a bulk run replays every order that is dead now, once. It is followed until it has
    gone through them; ctrl-c leaves it running. `klarna-ack run show` tells what came of them.
    """
    operator = Operator(by, "replay", why)
    act.on(selection, replay.replay, Decision(operator, "replayed", rate, dry_run, as_json))
