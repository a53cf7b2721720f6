"""Which dead letters a command is about: those that are named, or all that the filters match."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
from redis import Redis

from cli.arguments import options, order_ids
from cli.context import Context
from pushes.model import PushKey
from pushes.read import dead_letters
from pushes.read.cursors import CursorError
from pushes.read.dead_letters import Filter, Page


@dataclass(frozen=True, slots=True)
class Selection:
    """The order ids that were named; with none of them, all that match, up to a limit."""

    named: list[str]
    wanted: Filter
    limit: int | None

    def keys(self, context: Context) -> list[PushKey]:
        """Name the pushes. Raises UsageError for an account that cannot be told."""
        account = self.wanted.account
        if self.named:
            chosen = context.choose_account(account)
            return [PushKey(chosen, order_id) for order_id in self.named]
        return all_dead(context.redis, self.checked_filter(context), self.limit)

    def checked_filter(self, context: Context) -> Filter:
        """Return what is wanted. Raises UsageError for an account that nobody knows."""
        if self.wanted.account is not None:
            context.choose_account(self.wanted.account)
        return self.wanted


def selected(command: Callable[..., None]) -> Callable[..., None]:
    """Add what names dead letters to a command, which takes it as `selection`."""

    @functools.wraps(command)
    def collect(  # noqa: PLR0913 - one parameter an option
        *,
        ids: tuple[str, ...],
        everything: bool,
        reason: str | None,
        since: datetime | None,
        until: datetime | None,
        account: str | None,
        limit: int | None,
        **others: Any,  # noqa: ANN401 - the command's own options
    ) -> None:
        wanted = options.make_filter(reason, account, since, until)
        named = order_ids.from_arguments(ids)
        filtered = limit is not None or any((reason, since, until))
        _check_usage(named=bool(named), everything=everything, filtered=filtered)
        command(selection=Selection(named, wanted, limit), **others)

    for option in (
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            help="With --all: so many at most, longest dead first.",
        ),
        options.account,
        options.dead_letter_filters,
        click.option("--all", "everything", is_flag=True, help="All that the filters match."),
        click.argument("ids", metavar="[ORDER_ID]...", nargs=-1),
    ):
        collect = option(collect)
    return collect


def read_page(redis: Redis, wanted: Filter, *, limit: int, cursor: str | None) -> Page:
    """Read one page. Raises UsageError for a wrong cursor."""
    try:
        return dead_letters.page(redis, wanted, limit=limit, cursor=cursor)
    except CursorError as error:
        raise click.UsageError(str(error)) from error


def all_dead(redis: Redis, wanted: Filter, limit: int | None = None) -> list[PushKey]:
    """Name what is dead now, the longest dead first, each once, before any of it is touched."""
    found: dict[PushKey, None] = {}
    cursor = None
    while True:
        page = read_page(redis, wanted, limit=dead_letters.PAGE, cursor=cursor)
        found |= dict.fromkeys(push.key for push in page.items)
        cursor = page.next_cursor
        if cursor is None or (limit is not None and len(found) >= limit):
            return list(found)[:limit]


def _check_usage(*, named: bool, everything: bool, filtered: bool) -> None:
    if named and everything:
        raise click.UsageError("Give order ids or --all, not both.")
    if not named and not everything:
        raise click.UsageError("Give order ids, or --all.")
    if named and filtered:
        raise click.UsageError("--reason, --since, --until and --limit go with --all.")
