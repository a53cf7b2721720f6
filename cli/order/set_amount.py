"""`klarna-ack order set-amount`: set what an order is about anew, and replace its lines."""

from typing import TextIO

import click

from cli.arguments import money
from cli.order import choices as choosing
from cli.order import documents, writing
from cli.order.choices import Choices
from cli.order.shown import described
from cli.order.writing import OrderAct
from klarna import AuthorizationUpdate, KlarnaClient, Observe, Operation


@click.command("set-amount")
@choosing.of_one_order(asks=True)
@click.argument("amount")
@click.argument("currency")
@choosing.minor_units
@click.option(
    "--lines",
    type=documents.JSON_FILE,
    metavar="JSON",
    help="The order lines that replace all others. Without it those are deleted.",
)
@click.option("--description", metavar="TEXT", help="What the customer is told of the change.")
def set_amount(  # noqa: PLR0913 - one parameter an option
    order_id: str,
    choices: Choices,
    *,
    amount: str,
    currency: str,
    minor_units: bool,
    lines: TextIO | None,
    description: str | None,
) -> None:
    """Set the amount of an order anew, such as 60.00 SEK. You are asked before.

    Klarna replaces the order lines: give the new ones with --lines, or they are deleted. It refuses
    less than was captured, and more where the payment method or its risk assessment does not allow
    it.
    """
    wanted = money.parse(amount, currency, in_minor_units=minor_units)
    values: dict[str, object] = {
        "order_amount": wanted.minor_units,
        "order_lines": documents.order_lines(lines, "--lines") if lines else None,
    }
    if description is not None:
        values["description"] = description
    update = documents.make(AuthorizationUpdate, values, "set-amount")

    def send(client: KlarnaClient, order_id: str, key: str, observe: Observe) -> None:
        client.update_authorization(order_id, update, idempotency_key=key, observe=observe)

    with writing.desk(order_id, choices) as desk:
        order = desk.look()
        writing.check_currency(order, wanted)
        desk.ask(f"Set the amount of order {described(order)} to {wanted}? {_about_lines(update)}")
        operation = Operation.UPDATE_AUTHORIZATION
        done = f"amount set to {wanted}"
        desk.do(OrderAct("set-amount", done, operation, send, update, str(wanted)))


def _about_lines(update: AuthorizationUpdate) -> str:
    if update.order_lines is None:
        return "Its order lines are deleted; --lines would give new ones."
    return f"Its order lines are replaced by {len(update.order_lines)}."
