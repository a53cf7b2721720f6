"""Drawing something again and again until ctrl-c, through failures of Redis that end."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import click
from redis.exceptions import RedisError
from rich.console import Console
from rich.live import Live

from cli import output
from cli.exits import what_happened

# As often as somebody who waits for a change looks.
_REDRAW_EVERY_S = 2.0

_T = TypeVar("_T")


def watch(
    look: Callable[[], _T], lay_out: Callable[[_T], Sequence[output.Block]], *, as_json: bool
) -> None:
    """Draw until ctrl-c. Raises RedisError when the first look fails; later ones are told."""
    try:
        seen = look()
        with _drawing(lay_out, as_json=as_json) as draw:
            while True:
                draw(seen)
                seen = _look_again(look)
    except KeyboardInterrupt:
        return


def _look_again(look: Callable[[], _T]) -> _T:
    """Look after a pause; say once when Redis is away, and wait for it."""
    told = False
    while True:
        time.sleep(_REDRAW_EVERY_S)
        try:
            return look()
        except RedisError as error:
            if not told:
                click.echo(f"{what_happened(error)}: waiting for it to come back.", err=True)
            told = True


@contextmanager
def _drawing(
    lay_out: Callable[[_T], Sequence[output.Block]], *, as_json: bool
) -> Iterator[Callable[[_T], None]]:
    if as_json:
        yield lambda seen: output.emit_json(seen, one_line=True)
    elif not sys.stdout.isatty():
        yield lambda seen: output.emit(*lay_out(seen), "")
    else:
        with Live(console=Console(), auto_refresh=False) as live:
            yield lambda seen: live.update(output.as_rich(*lay_out(seen)), refresh=True)
