"""`klarna-ack order`: one order at Klarna, read and changed at an operator's word."""

import click

from cli.lazy import LazyGroup

_COMMANDS = {
    "acknowledge": "cli.order.acknowledge:acknowledge",
    "add-shipping": "cli.order.add_shipping:add_shipping",
    "cancel": "cli.order.cancel:cancel",
    "capture": "cli.order.capture:capture",
    "get": "cli.order.get:get",
    "set-address": "cli.order.set_address:set_address",
    "set-amount": "cli.order.set_amount:set_amount",
    "set-references": "cli.order.set_references:set_references",
}


@click.group(cls=LazyGroup, places=_COMMANDS)
def order() -> None:
    """Read and change one order at Klarna.

    These commands call Klarna with the credentials of the worker's settings. What changes an order
    is kept in the audit and, when a push of the order is known here, in its timeline. A write
    whose answer was lost is sent again with its idempotency key when you run the command again.
    """
