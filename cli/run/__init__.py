"""`klarna-ack run`: the bulk runs, how far each is, and steering them."""

import click

from cli.lazy import LazyGroup

_COMMANDS = {
    "cancel": "cli.run.steering:cancel",
    "list": "cli.run.reading:list_",
    "pause": "cli.run.steering:pause",
    "resume": "cli.run.steering:resume",
    "show": "cli.run.reading:show",
    "undo": "cli.run.steering:undo",
}


@click.group(cls=LazyGroup, places=_COMMANDS)
def run() -> None:
    """Watch and steer bulk runs.

    `klarna-ack dead replay --all` and `dead discard --all` start them; workers go on with them.
    """
