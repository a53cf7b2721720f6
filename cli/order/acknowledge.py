"""`klarna-ack order acknowledge`: tell Klarna that the order is known, without a worker."""

import click

from cli.exits import Refused
from cli.order import choices as choosing
from cli.order import writing
from cli.order.choices import Choices
from cli.order.writing import OrderAct
from klarna import KlarnaClient, Observe, Operation


@click.command()
@choosing.of_one_order(asks=False)
def acknowledge(order_id: str, choices: Choices) -> None:
    """Acknowledge an order now.

    The order is fetched from Klarna first. A push of it that waits or is dead is acknowledged with
    it; an attempt that is under way goes on by itself.
    """
    with writing.desk(order_id, choices) as desk:
        order = desk.look()
        if desk.merchant.policies.leave_nothing_to_acknowledge(order.status):
            raise Refused(
                f"The order is {order.status}: there is nothing to acknowledge (the account's"
                " not_needed_states). Nothing was sent."
            )
        desk.do(OrderAct("acknowledge", "acknowledged", Operation.ACKNOWLEDGE, _send))


def _send(client: KlarnaClient, order_id: str, idempotency_key: str, observe: Observe) -> None:
    client.acknowledge(order_id, idempotency_key=idempotency_key, observe=observe)
