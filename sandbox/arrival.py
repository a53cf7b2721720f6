"""What can be said of a request on Klarna's side without looking at any state. Refuses nothing."""

from dataclasses import dataclass
from uuid import uuid4

from sandbox.operations import OPERATIONS, PREFIX, UNKNOWN, Operation
from sandbox.orders import ORDER_ID
from sandbox.settings import SandboxSettings
from sandbox.wire import ApiRequest


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request on its way in, without its body and credentials: the request log keeps it.

    `order_id` is lower-case if it has the shape of one, None outside the paths of orders.
    `idempotency_key` is the key as sent, also on a GET, where it means nothing.
    """

    method: str
    path: str
    name: str
    operation: Operation | None
    order_id: str | None
    authorized: bool
    correlation_id: str
    idempotency_key: str | None
    user_agent: str | None


def arrive(request: ApiRequest, settings: SandboxSettings, basic_token: str) -> Arrival:
    """Name the call, check the credentials, give it a correlation id."""
    name, operation, order_id = UNKNOWN, None, None
    if request.path.startswith(PREFIX):
        given, _, rest = request.path.removeprefix(PREFIX).partition("/")
        name, operation = OPERATIONS.get((request.method, rest), (UNKNOWN, None))
        order_id = given.lower() if ORDER_ID.fullmatch(given) else given
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    known = scheme.lower() == "basic" and token == basic_token
    return Arrival(
        method=request.method,
        path=request.path,
        name=name,
        operation=operation,
        order_id=order_id,
        authorized=known or not settings.auth_check,
        correlation_id=str(uuid4()),
        idempotency_key=request.headers.get("klarna-idempotency-key"),
        user_agent=request.headers.get("user-agent"),
    )
