"""What `klarna-ack dev` tells of the orders: pushed, acknowledged, forged."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import click

from devtools.local.demo.stack import Stack
from devtools.local.loopback import loopback_session

_PUSH_TIMEOUT_S = 10


@dataclass
class OrderWatch:
    """Tells of each order once when it was pushed and once when it was acknowledged."""

    stack: Stack
    waiting: dict[str, bool] = field(default_factory=dict)  # order id → its push was shown
    forged_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    _forged_attempts: int = 0

    def push(self, count: int) -> None:
        """Create orders at the sandbox, which pushes them as Klarna would."""
        order_ids = self.stack.sandbox.create_orders(push=True, count=count)
        self.waiting |= dict.fromkeys(order_ids, False)

    def push_forged(self) -> None:
        """Push an order that Klarna does not have, as anybody on the internet could."""
        with loopback_session() as session:
            url = self.stack.web.push_url + self.forged_id
            session.post(url, timeout=_PUSH_TIMEOUT_S).raise_for_status()
        click.echo(f"{self.forged_id}  pushed by a forger: Klarna does not know this order")

    def look(self) -> None:
        """Print what has become of the orders since the last look."""
        for order_id, push_was_shown in list(self.waiting.items()):
            order = self.stack.sandbox.order(order_id)
            if order["pushes"] and not push_was_shown:
                push = order["pushes"][0]
                click.echo(f"{order_id}  pushed: answered {push['status']} in {push['ms']:.0f} ms")
                self.waiting[order_id] = True
            if order["pushes"] and (acknowledged_at := order["acknowledged_at"]):
                pushed_at = order["pushes"][0]["at"]
                ms = (_at(acknowledged_at) - _at(pushed_at)) / timedelta(milliseconds=1)
                click.echo(f"{order_id}  acknowledged {ms:.0f} ms after its push")
                del self.waiting[order_id]

    def look_at_forged(self) -> None:
        """Print each new attempt at the forged order."""
        calls = self.stack.sandbox.requests(self.forged_id)
        for attempt, seen in enumerate(calls[self._forged_attempts :], self._forged_attempts + 1):
            click.echo(
                f"{self.forged_id}  attempt {attempt}: Klarna answered {seen['status']}, so it is"
                " not acknowledged; it is tried again later, in case the order is not visible yet"
            )
        self._forged_attempts = len(calls)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
