"""What we read of a Klarna order: states, amounts and references. Never a person's data."""

from dataclasses import dataclass
from datetime import UTC, datetime

from klarna.calls import one_line

# Klarna's own limit for merchant references; nothing else we read is longer.
_TEXT_CHARS = 255

# Klarna's amounts are int64. What is larger is none, and some readers of ours could not bear it.
_LARGEST_AMOUNT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Order:
    """An order at the moment of the answer; amounts in minor units (öre, cents).

    `status` and `fraud_status` are open sets: Klarna may add words to either.
    There is no "acknowledged" in Klarna's answer: only our own record knows.
    """

    order_id: str
    status: str
    fraud_status: str | None
    order_amount: int | None
    captured_amount: int | None
    refunded_amount: int | None
    remaining_authorized_amount: int | None
    purchase_currency: str | None
    expires_at: datetime | None
    klarna_reference: str | None
    merchant_reference1: str | None
    merchant_reference2: str | None


def parse_order(document: object) -> Order:
    """Read an order from Klarna's JSON; ValueError without an `order_id` and a `status`.

    Every other field may be missing or odd and is None then: we verify with two fields and show
    the rest, so a surprise in the rest must not stop an acknowledgement.
    """
    fields = document if isinstance(document, dict) else {}
    order_id = _text(fields.get("order_id"))
    status = _text(fields.get("status"))
    if not order_id or not status:
        raise ValueError("no order_id or no status in the order")
    return Order(
        order_id=order_id.lower(),
        status=status,
        fraud_status=_text(fields.get("fraud_status")),
        order_amount=_amount(fields.get("order_amount")),
        captured_amount=_amount(fields.get("captured_amount")),
        refunded_amount=_amount(fields.get("refunded_amount")),
        remaining_authorized_amount=_amount(fields.get("remaining_authorized_amount")),
        purchase_currency=_text(fields.get("purchase_currency")),
        expires_at=_moment(fields.get("expires_at")),
        klarna_reference=_text(fields.get("klarna_reference")),
        merchant_reference1=_text(fields.get("merchant_reference1")),
        merchant_reference2=_text(fields.get("merchant_reference2")),
    )


def _text(value: object) -> str | None:
    return one_line(value, _TEXT_CHARS) if isinstance(value, str) else None


def _amount(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if abs(value) <= _LARGEST_AMOUNT else None


def _moment(value: object) -> datetime | None:
    """Read an ISO 8601 moment; one without an offset is UTC, as everything Klarna sends is."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
