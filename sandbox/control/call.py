"""What a control call gets to work with, and the reading of its body and query."""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from sandbox.api.orders import ORDER_ID, StoredOrder
from sandbox.control.inputs import BadInputError, Fields, parsed
from sandbox.pushing.sender import PushSender
from sandbox.state import SandboxState

# No log gets that long.
_SEQ_DIGITS = 18


class NotFoundError(LookupError):
    """What the path names is not there: 404."""


@dataclass(frozen=True, slots=True)
class ControlCall:
    """One control call. `item` is the last path segment, lower-case, or empty."""

    state: SandboxState
    sender: PushSender
    item: str
    query: str
    body: bytes

    def fields(self, names: Collection[str]) -> Fields:
        """Read the body as an object with only these members. Raises BadInputError."""
        return Fields(parsed(self.body), names)

    def filters(self, names: Collection[str]) -> tuple[int, str | None]:
        """Read `since` (default 0) and `order_id` (default all). Raises BadInputError."""
        given = dict(parse_qsl(self.query, keep_blank_values=True))
        Fields(given, names)
        since, order_id = given.get("since", "0"), given.get("order_id")
        if not (since.isascii() and since.isdigit() and len(since) <= _SEQ_DIGITS):
            raise BadInputError("since", "a seq: a whole number from 0")
        return int(since), order_id.lower() if order_id else None

    def order(self, order_id: str) -> StoredOrder:
        """Find an order; its caller holds the lock. Raises NotFoundError."""
        if order_id not in self.state.orders:
            raise NotFoundError(f"no order {order_id}: create it with POST /_control/orders")
        return self.state.orders[order_id]


def order_id_of(fields: Fields, default: str) -> str:
    """Read an order id, lower-case. Raises BadInputError."""
    return fields.text("order_id", default, ORDER_ID).lower()


def http_url_of(fields: Fields, name: str) -> str:
    """Read where pushes go. Raises BadInputError."""
    url = fields.text(name, "")
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return url
    except ValueError:  # a port or an address that cannot be one
        pass
    raise BadInputError(name, "an http:// or https:// URL, with {checkout.order.id} in it")
