"""`klarna-ack order add-shipping`: tell Klarna which parcels an order comes in."""

from typing import TextIO

import click

from cli.order import choices as choosing
from cli.order import documents, writing
from cli.order.choices import Choices
from cli.order.writing import OrderAct
from klarna import KlarnaClient, Observe, Operation, ShippingInfo, ShippingMethod
from klarna.documents import AddedShippingInfo


@click.command("add-shipping")
@choosing.of_one_order(asks=False)
@click.option(
    "--file",
    type=documents.JSON_FILE,
    metavar="JSON",
    help="One parcel or a list of them, in Klarna's fields; - is standard input.",
)
@click.option("--company", "shipping_company", metavar="NAME", help="Who carries the parcel.")
@click.option(
    "--method",
    "shipping_method",
    metavar="WORD",
    help=f"How it reaches the customer, such as {ShippingMethod.PICK_UP_POINT}.",
)
@click.option("--tracking-number", metavar="NUMBER", help="The number it is followed by.")
@click.option("--tracking-uri", metavar="URL", help="Where it can be followed.")
def add_shipping(
    order_id: str, choices: Choices, *, file: TextIO | None, **given: str | None
) -> None:
    """Add parcels to an order.

    Those in a file, or the one that the options describe. Those that Klarna knows already stay.
    """
    added = _read(file, {name: value for name, value in given.items() if value is not None})

    def send(client: KlarnaClient, order_id: str, key: str, observe: Observe) -> None:
        client.add_shipping_info(
            order_id, added.shipping_info, idempotency_key=key, observe=observe
        )

    said = "; ".join(filter(None, map(_described, added.shipping_info[:3])))
    detail = f"parcels: {len(added.shipping_info)}" + (f" ({said[:120]})" if said else "")
    with writing.desk(order_id, choices) as desk:
        operation = Operation.ADD_SHIPPING_INFO
        desk.do(OrderAct("add-shipping", f"added {detail}", operation, send, added, detail))


def _read(file: TextIO | None, given: dict[str, str]) -> AddedShippingInfo:
    if file and given:
        raise click.UsageError("Give --file, or options that describe a parcel, not both.")
    if not file and not given:
        raise click.UsageError("Give --file, or --company, --tracking-number and the like.")
    found = (
        documents.parcels(file, "--file")
        if file
        else [documents.make(ShippingInfo, given, "parcel")]
    )
    return documents.make(AddedShippingInfo, {"shipping_info": found}, "add-shipping")


def _described(parcel: ShippingInfo) -> str:
    return " ".join(filter(None, (parcel.shipping_company, parcel.tracking_number)))
