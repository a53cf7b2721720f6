"""The sandbox's control side, as tests use it: `POST /_control/orders` is `create_orders`."""

from typing import Any, NotRequired, TypedDict, Unpack

import requests

_TIMEOUT_S = 10


class NewOrder(TypedDict, total=False):
    order_id: str
    status: str
    fraud_status: str
    amount: int
    currency: str
    visible_after_s: float
    push: bool
    first_push_after_s: float
    count: int


class OrderPushBody(TypedDict):
    at: str
    status: int | None
    ms: float


class OrderBody(TypedDict):
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
    seq: int
    at: str
    order_id: str
    url: str
    status: int | None  # None: no answer came
    ms: float


class FaultBody(TypedDict):
    operation: NotRequired[str]
    order_id: NotRequired[str]
    times: NotRequired[int]
    probability: NotRequired[float]
    params: NotRequired[dict[str, Any]]


class SandboxControl:
    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()

    def create_orders(self, **order: Unpack[NewOrder]) -> list[str]:
        order_ids: list[str] = self._call("POST", "orders", order)["order_ids"]
        return order_ids

    def create_order(self, **order: Unpack[NewOrder]) -> str:
        (order_id,) = self.create_orders(**order)
        return order_id

    def order(self, order_id: str) -> OrderBody:
        order: OrderBody = self._call("GET", f"orders/{order_id}")
        return order

    def change_order(self, order_id: str, **changes: str) -> None:
        self._call("PATCH", f"orders/{order_id}", changes)

    def requests(
        self, order_id: str | None = None, since: int | None = None
    ) -> list[LoggedRequest]:
        """The API requests it has got, in order; `since` is the `seq` of one already seen."""
        query = {"order_id": order_id, "since": since}
        log: list[LoggedRequest] = self._call("GET", "requests", query=query)
        return log

    def add_fault(self, name: str, **fault: Unpack[FaultBody]) -> str:
        fault_id: str = self._call("POST", "faults", {"fault": name, **fault})["fault_id"]
        return fault_id

    def clear_faults(self) -> None:
        self._call("DELETE", "faults")

    def settings(self, **changes: object) -> dict[str, Any]:
        """Change any subset; answers all of them."""
        if changes:
            self._call("PUT", "settings", changes)
        settings: dict[str, Any] = self._call("GET", "settings")
        return settings

    def pusher(self, url: str) -> None:
        """Where pushes go; `{checkout.order.id}` in it is replaced."""
        self._call("PUT", "pusher", {"url": url})

    def clock(self, *, advance_s: float | None = None, speed: float | None = None) -> None:
        moves = {"advance_s": advance_s, "speed": speed}
        self._call("PUT", "clock", {name: move for name, move in moves.items() if move is not None})

    def push(self, order_id: str) -> None:
        self._call("POST", "pushes", {"order_id": order_id})

    def pushes(self, since: int | None = None) -> list[SentPush]:
        pushes: list[SentPush] = self._call("GET", "pushes", query={"since": since})
        return pushes

    def reset(self) -> None:
        """Forget everything but the settings."""
        self._call("POST", "reset")

    def close(self) -> None:
        self._session.close()

    def _call(
        self,
        method: str,
        path: str,
        body: object = None,
        query: dict[str, str | int | None] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON, given its type by the caller
        answer = self._session.request(
            method, f"{self.url}/_control/{path}", json=body, params=query, timeout=_TIMEOUT_S
        )
        assert answer.ok, f"{method} {path} → {answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None
