"""What commands print: tables and panels on a terminal, plain aligned text into a pipe, or JSON."""

import json
import sys

import click

from cli.output.blocks import Block, Cell, Facts, Table, safe
from cli.output.plain import as_text

__all__ = ["Block", "Cell", "Facts", "Table", "emit", "emit_json", "safe"]


def emit_json(document: object, *, one_line: bool = False) -> None:
    """Print a document for scripts; `one_line` for one of several."""
    click.echo(json.dumps(document, indent=None if one_line else 2))


def emit(*blocks: Block) -> None:
    """Print for people, in the form that stdout calls for."""
    if not sys.stdout.isatty():
        click.echo(as_text(*blocks))
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

    from cli.output.screen import as_rich  # noqa: PLC0415 - as above

    Console().print(as_rich(*blocks))
