"""`klarna-ack order get`: an order as Klarna shows it, whole. Changes nothing."""

from contextlib import suppress

import click
from redis.exceptions import RedisError

from cli import output
from cli.arguments import money, options, order_ids
from cli.calling import failures
from cli.calling.merchant import calling_for
from cli.context import Context, opened
from cli.exits import Refused
from klarna import Address, KlarnaError, OrderDetails
from pushes.model import Push, PushKey
from pushes.read import views
from pushes.store import records


@click.command()
@click.argument("order_id")
@options.account
@options.as_json
def get(order_id: str, account: str | None, *, as_json: bool) -> None:
    """Show an order as Klarna shows it.

    That is all of it, with its lines, captures and the shipping address. Klarna does not say
    whether an order is acknowledged: what is known of that here is shown, too.
    """
    (wanted,) = order_ids.from_arguments([order_id])
    with opened() as context:
        key = PushKey(context.choose_configured_account(account), wanted)
        with calling_for(key.account) as merchant:
            try:
                order = merchant.client.get_order_details(wanted)
            except KlarnaError as error:
                raise Refused(failures.tell(error, "get", key)) from error
        push = _known(context, key)
    if as_json:
        state = str(push.state) if push else None
        shown = order.model_dump(mode="json", exclude_unset=True)
        output.emit_json(
            {"order_id": wanted, "account": key.account, "state": state, "order": shown}
        )
    else:
        output.emit(*_blocks(order, key, push))


def _known(context: Context, key: PushKey) -> Push | None:
    """Read what is known here; None, too, when Redis is away, for Klarna has answered."""
    with suppress(RedisError):
        return records.get(context.redis, key)
    return None


def _blocks(order: OrderDetails, key: PushKey, push: Push | None) -> list[output.Block]:
    shown: list[output.Block] = [
        output.Facts(f"Order {order.order_id}", _facts(order, key, push)),
    ]
    if order.shipping_address:
        shown.append(output.Facts("Shipping address", _address(order.shipping_address)))
    tables = (_lines(order), _captures(order), _refunds(order), _parcels(order))
    return [*shown, *(table for table in tables if table.rows)]


def _facts(order: OrderDetails, key: PushKey, push: Push | None) -> list[tuple[str, output.Cell]]:
    currency = order.purchase_currency
    paid = order.initial_payment_method
    here = f"{push.state}: {push.state.sentence}" if push else "no push of it is known"
    return [
        ("account", key.account),
        ("status", order.status),
        ("fraud status", order.fraud_status),
        ("here", here),
        ("amount", money.show(order.order_amount, currency)),
        ("at first", money.show(order.original_order_amount, currency)),
        ("captured", money.show(order.captured_amount, currency)),
        ("refunded", money.show(order.refunded_amount, currency)),
        ("remaining", money.show(order.remaining_authorized_amount, currency)),
        ("payment method", paid.type if paid else None),
        ("country", order.purchase_country),
        ("Klarna's reference", order.klarna_reference),
        ("merchant reference 1", order.merchant_reference1),
        ("merchant reference 2", order.merchant_reference2),
        ("created", views.optional(order.created_at)),
        ("expires", views.optional(order.expires_at)),
    ]


def _address(address: Address) -> list[tuple[str, output.Cell]]:
    values = address.model_dump(exclude_unset=True)
    return [(name.replace("_", " "), str(value)) for name, value in values.items() if value]


def _lines(order: OrderDetails) -> output.Table:
    currency = order.purchase_currency
    rows = [
        (
            line.reference,
            line.type,
            line.quantity,
            money.show(line.unit_price, currency),
            money.show(line.total_amount, currency),
            line.name,
        )
        for line in order.order_lines or ()
    ]
    headers = ("line", "type", "quantity", "unit_price", "total", "name")
    return output.Table(headers, rows, prose="name")


def _captures(order: OrderDetails) -> output.Table:
    currency = order.purchase_currency
    rows = [
        (
            one.capture_id,
            money.show(one.captured_amount, currency),
            views.optional(one.captured_at),
            one.klarna_reference,
            one.description,
        )
        for one in order.captures or ()
    ]
    headers = ("capture", "amount", "at", "klarna_reference", "description")
    return output.Table(headers, rows, prose="description")


def _refunds(order: OrderDetails) -> output.Table:
    currency = order.purchase_currency
    rows = [
        (
            one.refund_id,
            money.show(one.refunded_amount, currency),
            views.optional(one.refunded_at),
            one.description,
        )
        for one in order.refunds or ()
    ]
    return output.Table(("refund", "amount", "at", "description"), rows, prose="description")


def _parcels(order: OrderDetails) -> output.Table:
    rows = [
        (one.shipping_company, one.shipping_method, one.tracking_number, one.tracking_uri)
        for one in order.shipping_info or ()
    ]
    headers = ("company", "method", "tracking_number", "tracking_uri")
    return output.Table(headers, rows, prose="tracking_uri")
