"""The sandbox's control side for Python: `POST /_control/orders` is `create_orders`.

What each call and each field means stands in sandbox/README.md.
"""

from typing import Any, NotRequired, TypedDict, Unpack

import requests

from devtools.local.loopback import loopback_session

_TIMEOUT_S = 10


class SandboxError(Exception):
    """The sandbox refused a call or did not answer; the message says which call and why."""


class NewOrder(TypedDict, total=False):
    """What an order is to be like."""

    order_id: str
    status: str
    fraud_status: str
    amount: int
    currency: str
    visible_after_s: float
    merchant: str
    push: bool
    merchant_reference1: str
    merchant_reference2: str
    push_url: str
    first_push_after_s: float
    count: int


class OrderPushBody(TypedDict):
    """A push of one order, and how it was answered."""

    at: str
    status: int | None
    ms: float


class OrderBody(TypedDict):
    """An order as the sandbox has it."""

    order_id: str
    status: str
    fraud_status: str
    acknowledged: bool
    acknowledge_effects: int  # how many times the effect took place
    acknowledged_at: str | None
    requests: int
    pushes: list[OrderPushBody]
    next_push_at: str | None


class LoggedRequest(TypedDict):
    """A request that came to the Order Management API, and how it was answered."""

    seq: int
    at: str
    method: str
    path: str
    order_id: str | None
    operation: str | None
    status: int | None  # None: no answer was sent
    effect: bool
    idempotency_key: str | None
    replayed: bool
    correlation_id: str | None
    user_agent: str | None
    authorized: bool
    fault: str | None


class SentPush(TypedDict):
    """A push that was sent, and how it was answered."""

    seq: int
    at: str
    order_id: str
    url: str
    status: int | None  # None: no answer came
    ms: float


class ReceivedBody(TypedDict):
    """A message as the shop's receiver logged it."""

    seq: int
    at: str
    path: str
    message_id: str | None
    type: str | None
    order_id: str | None
    traceparent: str | None
    body: Any  # JSON if it is any, else text
    verified: bool
    problem: str | None
    taken: bool  # the shop has the order now
    repeat: bool  # this message was taken before
    status: int | None  # None: no answer was sent
    fault: str | None


class PluginCallBody(TypedDict):
    """A call as the plugin's double logged it."""

    seq: int
    at: str
    method: str
    path: str
    query: str
    order_id: str | None
    event_type: str | None
    traceparent: str | None
    body: str
    read: int | None  # what Klarna's side answered to its GET and acknowledge; None: not asked
    acknowledged: int | None
    status: int | None  # None: no answer was sent
    fault: str | None


class FaultBody(TypedDict):
    """Which calls a fault is for, and how often."""

    operation: NotRequired[str]
    order_id: NotRequired[str]
    times: NotRequired[int]
    probability: NotRequired[float]
    params: NotRequired[dict[str, Any]]


class SandboxControl:
    """Steers one sandbox and reads what it has seen. Every method raises SandboxError."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = loopback_session()

    def create_orders(self, **order: Unpack[NewOrder]) -> list[str]:
        """Create `count` orders; return their ids."""
        order_ids: list[str] = self._call("POST", "orders", order)["order_ids"]
        return order_ids

    def create_order(self, **order: Unpack[NewOrder]) -> str:
        """Create one order; return its id."""
        (order_id,) = self.create_orders(**order)
        return order_id

    def orders(self) -> list[OrderBody]:
        """Return all orders."""
        orders: list[OrderBody] = self._call("GET", "orders")
        return orders

    def order(self, order_id: str) -> OrderBody:
        """Return one order."""
        order: OrderBody = self._call("GET", f"orders/{order_id}")
        return order

    def change_order(self, order_id: str, **changes: str) -> None:
        """Change any fields of an order."""
        self._call("PATCH", f"orders/{order_id}", changes)

    def requests(
        self, order_id: str | None = None, since: int | None = None
    ) -> list[LoggedRequest]:
        """Return the API requests in order; `since` is the `seq` of one already seen."""
        query = {"order_id": order_id, "since": since}
        log: list[LoggedRequest] = self._call("GET", "requests", query=query)
        return log

    def add_fault(self, name: str, **fault: Unpack[FaultBody]) -> str:
        """Put a fault in force, behind those that are; return its id."""
        fault_id: str = self._call("POST", "faults", {"fault": name, **fault})["fault_id"]
        return fault_id

    def clear_faults(self) -> None:
        """End all faults."""
        self._call("DELETE", "faults")

    def settings(self, **changes: object) -> dict[str, Any]:
        """Change any of the settings; return all of them."""
        if changes:
            self._call("PUT", "settings", changes)
        settings: dict[str, Any] = self._call("GET", "settings")
        return settings

    def pusher(self, url: str) -> None:
        """Say where pushes go; `{checkout.order.id}` in it is replaced."""
        self._call("PUT", "pusher", {"url": url})

    def clock(self, *, advance_s: float | None = None, speed: float | None = None) -> None:
        """Move the clock forward, or let it go faster, or both."""
        moves = {"advance_s": advance_s, "speed": speed}
        self._call("PUT", "clock", {name: move for name, move in moves.items() if move is not None})

    def push(self, order_id: str) -> None:
        """Push an order now."""
        self._call("POST", "pushes", {"order_id": order_id})

    def notify(self, order_id: str, event_type: str, url: str) -> int | None:
        """Send a fraud notification now; return the status it was answered with."""
        notification = {"order_id": order_id, "event_type": event_type, "url": url}
        status: int | None = self._call("POST", "notifications", notification)["status"]
        return status

    def pushes(self, since: int | None = None) -> list[SentPush]:
        """Return the pushes it has sent, in order; `since` is the `seq` of one already seen."""
        pushes: list[SentPush] = self._call("GET", "pushes", query={"since": since})
        return pushes

    def received(self, order_id: str | None = None) -> list[ReceivedBody]:
        """Return what came to the shop's receiver at `/receiver/…`, in order."""
        query: dict[str, str | int | None] = {"order_id": order_id}
        received: list[ReceivedBody] = self._call("GET", "receiver/messages", query=query)
        return received

    def plugin_calls(self, order_id: str | None = None) -> list[PluginCallBody]:
        """Return what came to the plugin's double at `/plugin/…`, in order."""
        query: dict[str, str | int | None] = {"order_id": order_id}
        calls: list[PluginCallBody] = self._call("GET", "plugin/calls", query=query)
        return calls

    def reset(self) -> None:
        """Forget everything but the settings."""
        self._call("POST", "reset")

    def close(self) -> None:
        """Close the connection; the sandbox runs on."""
        self._session.close()

    def _call(
        self,
        method: str,
        path: str,
        body: object = None,
        query: dict[str, str | int | None] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON, given its type by the caller
        url = f"{self.url}/_control/{path}"
        try:
            answer = self._session.request(method, url, json=body, params=query, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            raise SandboxError(f"{method} {path}: {error}") from error
        if not answer.ok:
            raise SandboxError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None
