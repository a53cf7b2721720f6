"""Reading the dead letters for the terminal: one page, or all that are dead now. Writes nothing."""

import click

from pushes.model import PushKey
from pushes.read import dead_letters
from pushes.read.dead_letters import Filter, Page
from pushes.store.ledger import Ledger


def read_page(ledger: Ledger, wanted: Filter, *, limit: int, cursor: str | None) -> Page:
    """Read one page. Raises UsageError for a wrong cursor."""
    try:
        return dead_letters.page(ledger.redis, wanted, limit=limit, cursor=cursor)
    except dead_letters.CursorError as error:
        raise click.UsageError(str(error)) from error


def all_dead(ledger: Ledger, wanted: Filter, limit: int | None = None) -> list[PushKey]:
    """Name what is dead now, the longest dead first, each once, before any of it is touched."""
    found: dict[PushKey, None] = {}
    cursor = None
    while True:
        page = read_page(ledger, wanted, limit=dead_letters.PAGE, cursor=cursor)
        found |= dict.fromkeys(push.key for push in page.items)
        cursor = page.next_cursor
        if cursor is None or (limit is not None and len(found) >= limit):
            return list(found)[:limit]
