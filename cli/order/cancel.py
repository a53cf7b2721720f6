"""`klarna-ack order cancel`: cancel an order of which nothing was captured."""

import click

from cli.order import choices as choosing
from cli.order import writing
from cli.order.choices import Choices
from cli.order.shown import described
from cli.order.writing import OrderAct
from klarna import KlarnaClient, Observe, Operation


@click.command()
@choosing.of_one_order(asks=True)
def cancel(order_id: str, choices: Choices) -> None:
    """Cancel an order. It cannot be undone, so you are asked.

    The amount is released. Klarna refuses it for an order with a capture. A push of it that waits
    or is dead has nothing left to acknowledge then.
    """
    with writing.desk(order_id, choices) as desk:
        order = described(desk.look())
        desk.ask(f"Cancel order {order}? It cannot be undone.")
        desk.do(OrderAct("cancel", "cancelled", Operation.CANCEL, _send))


def _send(client: KlarnaClient, order_id: str, idempotency_key: str, observe: Observe) -> None:
    client.cancel(order_id, idempotency_key=idempotency_key, observe=observe)
