"""How an order is shown: in a few words for a question, and as facts with readable amounts."""

from cli import output
from cli.arguments import money
from klarna import Order
from pushes.model import Push
from pushes.read import views


def described(order: Order) -> str:
    """Say in a few words which order it is, for a question."""
    amount = money.show(order.order_amount, order.purchase_currency)
    named = (
        order.status,
        amount,
        f"captured {money.show(order.captured_amount, order.purchase_currency)}"
        if order.captured_amount
        else None,
        f"reference {order.merchant_reference1}" if order.merchant_reference1 else None,
    )
    return f"{order.order_id} ({', '.join(part for part in named if part)})"


def described_here(push: Push | None) -> str:
    """Say where the push of an order is in its life, as far as one is known."""
    if push is None:
        return "no push of this order is known: what was done stands in `klarna-ack audit` only"
    return f"{push.state}: {push.state.sentence}"


def facts_of(order: Order) -> list[tuple[str, output.Cell]]:
    """List what an order is about, with amounts as people write them."""
    currency = order.purchase_currency
    return [
        ("status", order.status),
        ("fraud status", order.fraud_status),
        ("amount", money.show(order.order_amount, currency)),
        ("captured", money.show(order.captured_amount, currency)),
        ("refunded", money.show(order.refunded_amount, currency)),
        ("remaining", money.show(order.remaining_authorized_amount, currency)),
        ("Klarna's reference", order.klarna_reference),
        ("merchant reference 1", order.merchant_reference1),
        ("merchant reference 2", order.merchant_reference2),
        ("expires", views.optional(order.expires_at)),
    ]
