"""The request log: a call on Klarna's side as it came in, and what was decided, numbered.

Never keeps a body or a password.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

from sandbox.api.operations import OPERATIONS, UNKNOWN, ServedOperation, Target, target_of
from sandbox.api.orders import ORDER_ID
from sandbox.clock import iso
from sandbox.serving.reading import ApiRequest
from sandbox.settings import SandboxSettings


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A request on its way in, without its body and credentials: the request log keeps it.

    `order_id` is lower-case if it has the shape of one, None outside the paths of orders.
    `merchant` is whose credentials came with it, None for wrong ones. `idempotency_key` is the key
    as sent, also on a GET, where it means nothing.
    """

    method: str
    path: str
    name: str
    operation: ServedOperation | None
    target: Target | None
    order_id: str | None
    merchant: str | None
    correlation_id: str
    idempotency_key: str | None
    user_agent: str | None


def read_call(
    request: ApiRequest, settings: SandboxSettings, merchants: Mapping[str, str]
) -> IncomingCall:
    """Name the call, find the merchant by its `Basic` token, give it a correlation id."""
    order_id, operation = None, None
    if target := target_of(request.path):
        operation = OPERATIONS.get((request.method, target.rest))
        given = target.order_id
        order_id = given.lower() if ORDER_ID.fullmatch(given) else given
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    merchant = merchants.get(token) if scheme.lower() == "basic" else None
    if merchant is None and not settings.auth_check:
        merchant = settings.username
    return IncomingCall(
        method=request.method,
        path=request.path,
        name=operation.name if operation else UNKNOWN,
        operation=operation,
        target=target,
        order_id=order_id,
        merchant=merchant,
        correlation_id=str(uuid4()),
        idempotency_key=request.headers.get("klarna-idempotency-key"),
        user_agent=request.headers.get("user-agent"),
    )


@dataclass(slots=True)
class LoggedCall:
    """One call. `status` is None when no answer was sent; `effect`: a write took place."""

    seq: int
    at_s: float
    call: IncomingCall
    status: int | None
    effect: bool
    replayed: bool
    correlated: bool
    fault: str | None

    @property
    def order_id(self) -> str | None:
        """The id in the path, None outside the paths of orders."""
        return self.call.order_id

    @property
    def correlation_id(self) -> str:
        """What the answer's header says."""
        return self.call.correlation_id

    def view(self) -> dict[str, object]:
        """Show it as the control side does. A correlation id the client was not told is null."""
        call = self.call
        told = self.correlated and self.status is not None
        return {
            "seq": self.seq,
            "at": iso(self.at_s),
            "method": call.method,
            "path": call.path,
            "order_id": call.order_id,
            "operation": call.name,
            "status": self.status,
            "effect": self.effect,
            "idempotency_key": call.idempotency_key,
            "replayed": self.replayed,
            "correlation_id": call.correlation_id if told else None,
            "user_agent": call.user_agent,
            "authorized": call.merchant is not None,
            "merchant": call.merchant,
            "fault": self.fault,
        }
