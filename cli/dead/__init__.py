"""`klarna-ack dead`: the dead letters, what is known of them, and what an operator does."""

import click

from cli.lazy import LazyGroup

_COMMANDS = {
    "discard": "cli.dead.discard:discard",
    "list": "cli.dead.list:list_",
    "replay": "cli.dead.replay:replay_dead",
}


@click.group(cls=LazyGroup, places=_COMMANDS)
def dead() -> None:
    """List, replay and discard dead letters.

    These are the pushes that failed for good: an operator decides what becomes of them.
    """
