"""Drawing something again and again until ctrl-c, through failures of Redis that end."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import click
from redis.exceptions import RedisError

from cli import output
from cli.exits import what_happened

# As often as somebody who waits for a change looks.
_REDRAW_EVERY_S = 2.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class LiveView(Generic[_T]):
    """What is watched: how to look, and how to lay out what is seen.

    `lay_out` is for a pipe, `lay_out_screen` for a screen, of which it gets all of; `lay_out_loss`
    is for a screen while there is nothing to see: it gets what happened, and what was seen last.
    `hint` says how to see what does not fit.
    """

    look: Callable[[], _T]
    lay_out: Callable[[_T], Sequence[output.Block]]
    lay_out_screen: Callable[[_T], Sequence[output.Block]]
    lay_out_loss: Callable[[str, _T], Sequence[output.Block]]
    hint: str


@dataclass(frozen=True, slots=True)
class _Drawing(Generic[_T]):
    """How to show what is seen, and that there is nothing to see for now."""

    show: Callable[[_T], None]
    show_loss: Callable[[str, _T], None]


def watch(watched: LiveView[_T], *, as_json: bool) -> None:
    """Draw until ctrl-c. Raises RedisError when the first look fails; later ones are told."""
    try:
        seen = watched.look()
        with _drawing(watched, as_json=as_json) as drawing:
            while True:
                drawing.show(seen)
                seen = _look_again(watched, drawing, seen)
    except KeyboardInterrupt:
        return


def _look_again(watched: LiveView[_T], drawing: _Drawing[_T], seen: _T) -> _T:
    """Look after a pause; say once when Redis is away, and wait for it."""
    told = False
    while True:
        time.sleep(_REDRAW_EVERY_S)
        try:
            return watched.look()
        except RedisError as error:
            if not told:
                drawing.show_loss(f"{what_happened(error)}: waiting for it to come back.", seen)
            told = True


@contextmanager
def _drawing(watched: LiveView[_T], *, as_json: bool) -> Iterator[_Drawing[_T]]:
    def tell(loss: str, _seen: _T) -> None:
        click.echo(loss, err=True)

    if as_json:
        yield _Drawing(lambda seen: output.emit_json(seen, one_line=True), tell)
    elif not sys.stdout.isatty():
        yield _Drawing(lambda seen: output.emit(*watched.lay_out(seen), ""), tell)
    else:
        with _screen(watched) as drawing:
            yield drawing


@contextmanager
def _screen(watched: LiveView[_T]) -> Iterator[_Drawing[_T]]:
    """Draw on the whole screen, which is as it was afterwards."""
    from rich.live import Live  # noqa: PLC0415 - only a terminal needs it

    from cli.output.screen import Fitted, as_compact  # noqa: PLC0415 - as above

    with Live(screen=True, auto_refresh=False) as live:

        def draw(blocks: Sequence[output.Block]) -> None:
            live.update(Fitted(as_compact(*blocks), watched.hint), refresh=True)

        yield _Drawing(
            lambda seen: draw(watched.lay_out_screen(seen)),
            lambda loss, seen: draw(watched.lay_out_loss(loss, seen)),
        )
