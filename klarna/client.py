"""The Order Management calls, one method each; one HTTP request per call, never a retry.

Trying again is the queue's business: it remembers attempts across processes, a client cannot.
Source: Klarna docs, "View and change orders".
"""

from base64 import b64encode
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeVar

from klarna.answers import Answer
from klarna.deadlines import DEFAULT_TIME_LIMITS, TimeLimits
from klarna.errors import KlarnaError
from klarna.exchange import Exchange, Operation
from klarna.orders import Order, normal_order_id
from klarna.regions import ApiUrl
from klarna.results import read_acceptance, read_order
from klarna.transport import Call, Transport

_ORDERS: Final = "/ordermanagement/v1/orders/"

Result = TypeVar("Result")
Observe = Callable[[Exchange], None]


def _ignore(_exchange: Exchange) -> None:
    pass


class KlarnaClient:
    """Calls Klarna for one merchant account; safe for many threads.

    `pool_size` connections are kept alive; a thread beyond that pays for a new one each time.
    `observe` is called exactly once for each HTTP call, before the result is returned or the
    error raised. Every method raises `KlarnaError` (its subclass is the decision), and ValueError
    before any call for an order id or idempotency key that cannot be one.
    """

    def __init__(  # noqa: PLR0913 - all of them are one account's settings
        self,
        api_url: ApiUrl,
        username: str,
        password: str,
        *,
        pool_size: int,
        version: str,
        time_limits: TimeLimits = DEFAULT_TIME_LIMITS,
    ) -> None:
        headers = {
            "User-Agent": f"klarna-ack/{version}",
            "Accept": "application/json",
            "Authorization": _basic(username, password),
        }
        self._transport = Transport(api_url.url, headers, pool_size=pool_size, limits=time_limits)

    def get_order(self, order_id: str, *, observe: Observe = _ignore) -> Order:
        """Fetch the order; changes nothing."""
        call = Call(Operation.GET_ORDER, "GET", _ORDERS + normal_order_id(order_id))
        return self._send(call, read_order, observe)

    def acknowledge(
        self, order_id: str, *, idempotency_key: str, observe: Observe = _ignore
    ) -> None:
        """Tell Klarna we know the order, which ends its pushes; may be sent twice.

        Klarna remembers the key for 24 hours and answers a repetition as it did the first time.
        """
        path = f"{_ORDERS}{normal_order_id(order_id)}/acknowledge"
        call = Call(Operation.ACKNOWLEDGE, "POST", path, _write_headers(idempotency_key))
        self._send(call, read_acceptance, observe)

    def close(self) -> None:
        """Close the connections; the client is of no use afterwards."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _send(
        self, call: Call, read: Callable[[Answer], tuple[Result, Exchange]], observe: Observe
    ) -> Result:
        try:
            result, exchange = read(self._transport.send(call))
        except KlarnaError as error:
            if error.exchange:
                observe(error.exchange)
            raise
        observe(exchange)
        return result


def _basic(username: str, password: str) -> str:
    """Return the Authorization header. Source: RFC 7617 (no colon in the user name, UTF-8)."""
    if not username or not password or ":" in username:
        raise ValueError("a user name (without a colon) and a password are needed")
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


def _write_headers(idempotency_key: str) -> dict[str, str]:
    if not idempotency_key or not idempotency_key.isascii() or not idempotency_key.isprintable():
        raise ValueError("an idempotency key is printable ASCII text, at best a UUID")
    return {"Klarna-Idempotency-Key": idempotency_key, "Content-Length": "0"}
