"""What every write to an order takes from the operator: which order, who, why, and how."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from cli.arguments import options, order_ids

minor_units = click.option(
    "--minor-units", is_flag=True, help="The amount is in minor units: 19900 SEK is 199.00 SEK."
)


@dataclass(frozen=True, slots=True)
class Choices:
    """What an operator says of every write: who, why, and how."""

    account: str | None
    by: str
    why: str | None
    yes: bool
    dry_run: bool
    anew: bool
    as_json: bool


def of_one_order(*, asks: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add what every write takes; the command gets it as `order_id` and `choices`.

    `asks`: it asks before it acts, so there is --yes.
    """
    given = [
        options.as_json,
        options.by,
        options.why_if_any,
        click.option(
            "--anew",
            is_flag=True,
            help="Send it as a new write, although the answer to an earlier one was lost.",
        ),
        click.option(
            "--dry-run", is_flag=True, help="Print the request, and send nothing that changes."
        ),
        options.account,
        click.argument("order_id"),
    ]
    if asks:
        given.insert(4, click.option("--yes", is_flag=True, help="Act without asking."))

    def add(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def collect(  # noqa: PLR0913 - one parameter an option
            *,
            order_id: str,
            account: str | None,
            by: str,
            why: str | None,
            dry_run: bool,
            anew: bool,
            as_json: bool,
            yes: bool = False,
            **others: Any,  # noqa: ANN401 - the command's own options
        ) -> None:
            (wanted,) = order_ids.from_arguments([order_id])
            choices = Choices(account, by, why, yes, dry_run, anew, as_json)
            command(order_id=wanted, choices=choices, **others)

        for option in given:
            collect = option(collect)
        return collect

    return add
