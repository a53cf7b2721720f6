"""`klarna-ack run list` and `show`: the bulk runs. `show --follow` goes on with one meanwhile."""

import click

from cli import output
from cli.arguments import options
from cli.context import opened
from cli.exits import Refused
from cli.run import following
from pushes.read import runs
from pushes.read.cursors import CursorError


@click.command("list")
@options.page
@options.as_json
def list_(limit: int, cursor: str | None, *, as_json: bool) -> None:
    """List the bulk runs of the last 30 days, the latest first."""
    with opened() as context:
        try:
            page = runs.page(context.redis, limit=limit, cursor=cursor)
        except CursorError as error:
            raise click.UsageError(str(error)) from error
    if as_json:
        items = [runs.view(run) for run in page.items]
        output.emit_json({"items": items, "next_cursor": page.next_cursor})
        return
    shown: list[output.Block] = ["There was no bulk run."]
    if page.items:
        shown = [following.table(list(page.items))]
    if page.next_cursor:
        shown.append(f"There are more: --cursor {page.next_cursor}")
    output.emit(*shown)


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--follow", "follows", is_flag=True, help="Wait until each order has a result.")
@options.as_json
def show(run_id: str, *, follows: bool, as_json: bool) -> None:
    """Show how far a bulk run is, and what came of its orders.

    One that is followed goes on even while no worker is alive. Ctrl-C ends the following only.
    """
    with opened() as context:
        run = runs.get(context.redis, run_id)
        if run is None:
            raise Refused(f"There is no run {run_id[:40]!r}; `klarna-ack run list` names all.")
        if follows:
            run = following.follow(context, run, to_the_results=True)
    following.tell(run, as_json=as_json)
