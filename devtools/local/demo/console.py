"""What the demo's console opens on: a way in, and orders in several sorts of trouble."""

from datetime import UTC, datetime
from typing import Any

import click
from redis import Redis

from devtools.local.demo.stack import Stack
from pushes.access import sessions, users
from pushes.access.principals import Principal, UserRole

_NAME = "demo"

# How Klarna fails, at which call, and for how many orders.
_TROUBLE: tuple[tuple[str, str, dict[str, Any], int], ...] = (
    ("status", "acknowledge", {"status": 403, "error_code": "NOT_ALLOWED"}, 3),
    ("status", "acknowledge", {"status": 400, "error_code": "BAD_VALUE"}, 2),
    ("wrong_order_id", "get_order", {}, 1),
    ("status", "acknowledge", {"status": 503}, 2),
)


def make_link(stack: Stack) -> str:
    """Make a link that signs an admin in once; it has no password."""
    with Redis.from_url(stack.settings["REDIS_URL"]) as redis:
        demo = Principal(_NAME, UserRole.ADMIN)
        user = users.find(redis, _NAME) or users.add(
            redis, demo, password=None, by="klarna-ack dev", now=datetime.now(UTC)
        )
        return f"{stack.web.url}/ops/link?code={sessions.make_link(redis, user)}"


def make_trouble(stack: Stack) -> None:
    """Push orders that Klarna will not let us acknowledge, and one that is cancelled already."""
    sandbox = stack.sandbox
    for fault, operation, params, count in _TROUBLE:
        for order_id in sandbox.create_orders(count=count):
            sandbox.add_fault(fault, operation=operation, order_id=order_id, params=params)
            sandbox.push(order_id)
    sandbox.create_orders(status="CANCELLED", push=True)
    click.echo("Some orders are in trouble on purpose: the console says why, and what to do.")
