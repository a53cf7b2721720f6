"""`klarna-ack order set-address`: change the shipping address of an order, field by field."""

from typing import TextIO

import click

from cli.order import choices as choosing
from cli.order import documents, writing
from cli.order.choices import Choices
from cli.order.writing import OrderAct
from klarna import Address, KlarnaClient, Observe, Operation
from klarna.documents import CustomerDetails


@click.command("set-address")
@choosing.of_one_order(asks=False)
@click.option(
    "--file",
    type=documents.JSON_FILE,
    required=True,
    metavar="JSON",
    help='The fields that change, such as {"city": "Uppsala"}; - is standard input.',
)
def set_address(order_id: str, choices: Choices, *, file: TextIO) -> None:
    """Change the shipping address of an order.

    A field that is not given stays as it is; an empty one is cleared. Klarna assesses the risk
    again, and may refuse. The billing address cannot be changed. What the fields hold is not kept
    here, only which they were.
    """
    address = _read(file)

    def send(client: KlarnaClient, order_id: str, key: str, observe: Observe) -> None:
        client.update_customer_details(order_id, address, idempotency_key=key, observe=observe)

    said = f"shipping address: {', '.join(sorted(address.model_fields_set))}"
    with writing.desk(order_id, choices) as desk:
        operation = Operation.UPDATE_CUSTOMER_DETAILS
        document = CustomerDetails(shipping_address=address)
        desk.do(OrderAct("set-address", f"set {said}", operation, send, document, said))


def _read(file: TextIO) -> Address:
    found = documents.read(file, "--file")
    if isinstance(found, dict) and isinstance(found.get("shipping_address"), dict):
        found = found["shipping_address"]
    if not isinstance(found, dict) or not found:
        raise click.UsageError("--file: give an object with the fields of an address.")
    address = documents.make(Address, found, "--file")
    if unknown := sorted(address.model_extra or ()):
        raise click.UsageError(
            f"--file: no field of an address: {', '.join(unknown)[:200]}. There are"
            f" {', '.join(Address.model_fields)}."
        )
    return address
