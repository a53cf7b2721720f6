"""What is kept of a call to Klarna: a line of the timeline, and of the order no person's data."""

from dataclasses import fields
from datetime import UTC, datetime

from klarna import Exchange, Order
from pushes.model import Entry, OrderSnapshot


def entry_of(exchange: Exchange) -> Entry:
    """Make a line of the timeline of a call that was answered just now."""
    return Entry(
        at=datetime.now(UTC),
        event="call",
        call=str(exchange.operation),
        http_status=exchange.http_status,
        elapsed_ms=exchange.elapsed_ms,
        error_code=exchange.error_code,
        correlation_id=exchange.correlation_id,
        detail=exchange.error,
    )


def snapshot_of(order: Order) -> OrderSnapshot:
    """Return of an order what the ledger shows."""
    return OrderSnapshot(**{one.name: getattr(order, one.name) for one in fields(OrderSnapshot)})
