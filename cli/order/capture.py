"""`klarna-ack order capture`: charge the customer the amount of an order, or a part of it."""

from typing import TextIO

import click

from cli.arguments import money
from cli.order import choices as choosing
from cli.order import documents, writing
from cli.order.choices import Choices
from cli.order.shown import described
from cli.order.writing import OrderAct
from klarna import CaptureRequest, CreatedCapture, KlarnaClient, Observe, Operation


@click.command()
@choosing.of_one_order(asks=True)
@click.argument("amount")
@click.argument("currency")
@choosing.minor_units
@click.option(
    "--lines", type=documents.JSON_FILE, metavar="JSON", help="The order lines that are captured."
)
@click.option("--reference", metavar="TEXT", help="Your own reference of the capture.")
@click.option("--description", metavar="TEXT", help="What the customer is told of the capture.")
def capture(  # noqa: PLR0913 - one parameter an option
    order_id: str,
    choices: Choices,
    *,
    amount: str,
    currency: str,
    minor_units: bool,
    lines: TextIO | None,
    reference: str | None,
    description: str | None,
) -> None:
    """Capture an amount of an order, such as 199.00 SEK. You are asked before.

    The customer is charged. Capture when the goods are sent. It also acknowledges the order.
    """
    wanted = money.parse(amount, currency, in_minor_units=minor_units)
    given: dict[str, object] = {
        "order_lines": documents.order_lines(lines, "--lines") if lines else None,
        "reference": reference,
        "description": description,
    }
    said = {name: value for name, value in given.items() if value is not None}
    said["captured_amount"] = wanted.minor_units
    request = documents.make(CaptureRequest, said, "capture")

    def send(client: KlarnaClient, order_id: str, key: str, observe: Observe) -> CreatedCapture:
        return client.capture(order_id, request, idempotency_key=key, observe=observe)

    with writing.desk(order_id, choices) as desk:
        order = desk.look()
        writing.check_currency(order, wanted)
        left = money.show(order.remaining_authorized_amount, order.purchase_currency)
        desk.ask(
            f"Capture {wanted} of order {described(order)}, of which {left or 'unknown'}"
            " remains? The customer is charged."
        )
        done = f"captured {wanted}"
        desk.do(OrderAct("capture", done, Operation.CAPTURE, send, request, str(wanted)))
