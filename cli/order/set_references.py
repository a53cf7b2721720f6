"""`klarna-ack order set-references`: set the shop's own references of an order."""

import click

from cli.order import choices as choosing
from cli.order import documents, writing
from cli.order.choices import Choices
from cli.order.writing import OrderAct
from klarna import KlarnaClient, MerchantReferences, Observe, Operation


@click.command("set-references")
@choosing.of_one_order(asks=False)
@click.option(
    "--reference1", metavar="TEXT", help="The order number that the customer sees; '' clears it."
)
@click.option("--reference2", metavar="TEXT", help="A second reference; '' clears it.")
def set_references(
    order_id: str, choices: Choices, *, reference1: str | None, reference2: str | None
) -> None:
    """Set your own references of an order.

    One that is not given stays as it is. Set them before the order is acknowledged, if you can.
    """
    given = {"merchant_reference1": reference1, "merchant_reference2": reference2}
    values = {name: value for name, value in given.items() if value is not None}
    if not values:
        raise click.UsageError("Give --reference1 or --reference2, or both.")
    references = documents.make(MerchantReferences, values, "set-references")

    def send(client: KlarnaClient, order_id: str, key: str, observe: Observe) -> None:
        client.update_merchant_references(
            order_id, references, idempotency_key=key, observe=observe
        )

    said = ", ".join(f"{name} {value!r}" for name, value in values.items())
    with writing.desk(order_id, choices) as desk:
        operation = Operation.UPDATE_MERCHANT_REFERENCES
        desk.do(OrderAct("set-references", f"set {said}", operation, send, references, said))
