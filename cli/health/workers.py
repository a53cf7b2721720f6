"""`klarna-ack workers`: which workers are alive. Changes nothing."""

import click

from cli import output
from cli.arguments import options
from cli.context import opened
from cli.output.listing import listing
from pushes.read.unreadable import Unreadable
from pushes.read.workers import entries
from pushes.read.workers.entries import WorkerView

_COLUMNS = (
    "host",
    "pid",
    "version",
    "busy",
    "accounts",
    "started_at",
    "settings_read_at",
    "last_heartbeat",
    "clock",
)


@click.command()
@options.as_json
def workers(*, as_json: bool) -> None:
    """List the workers that are alive.

    It tells where each runs, its version, how many accounts it serves, since when, when it was
    heard of last, how far its clock is ahead of Redis's, and when it read its settings: what was
    changed later, such as a password, it does not know.
    """
    unreadable = Unreadable()
    with opened() as context:
        items = entries.views(context.redis, unreadable)
    if as_json:
        output.emit_json({"items": items, "unreadable": unreadable.sentences})
        return
    shown = [_cells(item) for item in items]
    nothing = "No worker is alive, so nothing is acknowledged: start `python -m worker`."
    output.emit(
        *listing(shown, _COLUMNS, prose="version", next_cursor=None, nothing=nothing),
        *(f"Not listed: {sentence}." for sentence in unreadable.sentences),
    )


def _cells(item: WorkerView) -> dict[str, output.Cell]:
    return {
        "host": item["host"],
        "pid": item["pid"],
        "version": item["version"] or "not ours: cannot acknowledge",
        "busy": f"{item['busy']} of {item['slots']}" if item["version"] else None,
        "accounts": None if item["accounts"] is None else len(item["accounts"]),
        "started_at": item["started_at"],
        "settings_read_at": item["settings_read_at"],
        "last_heartbeat": item["last_heartbeat"],
        "clock": f"{round(item['clock_ahead_s'], 1) + 0.0:+.1f} s",  # never -0.0
    }
